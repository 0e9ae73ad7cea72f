// How much may be under way at once when a whole site powers up.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "gateway/cache/catalog.hpp"

namespace postern::gateway {

/// Bounds the downloads at a time. A device beyond the bound is not told of its update yet: its poll gets
/// "nothing to do" (decisions 2 and 5). Whoever was told is never turned away. Thread-safe.
class Admission {
 public:
  /// A place is kept this long for a device that was told and has not come yet.
  static constexpr Duration kReservation = std::chrono::minutes(1);
  /// A device that was told of an artifact is told again for so long, whatever is under way.
  static constexpr Duration kMemory = std::chrono::hours(1);

  /// `downloads_max` 0: no bound.
  Admission(std::size_t downloads_max, Clock& clock) : downloads_max_(downloads_max), clock_(clock) {}

  /// Whether a device may be told now to fetch an artifact; then a place is kept for it. `device` is whatever
  /// tells devices apart: an id, a token.
  bool admit(std::string_view device, const ArtifactKey& key);

  /// One download, counted as long as this lives.
  class Download {
   public:
    Download() = default;
    explicit Download(std::atomic<std::size_t>& count) : count_(&count) { ++count; }
    Download(Download&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Download& operator=(Download&& other) noexcept {
      std::swap(count_, other.count_);
      return *this;
    }
    ~Download() {
      if (count_ != nullptr) --*count_;
    }

   private:
    std::atomic<std::size_t>* count_ = nullptr;
  };
  /// Never refused. `is_first`: this is not the continuation of one that was cut, so it takes a kept place.
  Download begin_download(bool is_first);

  std::size_t downloads() const { return downloads_; }
  std::size_t downloads_max() const { return downloads_max_; }
  /// Polls that were put off.
  std::uint64_t deferred() const { return deferred_; }

 private:
  void forget(SteadyTime now);

  const std::size_t downloads_max_;
  Clock& clock_;
  std::atomic<std::size_t> downloads_ = 0;
  std::atomic<std::uint64_t> deferred_ = 0;
  std::mutex mutex_;
  std::deque<SteadyTime> reserved_;                      ///< until when, oldest first
  std::map<std::string, SteadyTime, std::less<>> told_;  ///< device and artifact, until when
  std::deque<std::pair<SteadyTime, std::string>> told_in_order_;
};

/// Memory that may be held for readers, all together. Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// Bytes that are held as long as this lives.
  class Lease {
   public:
    Lease() = default;
    Lease(ByteBudget& budget, std::uint64_t bytes) : budget_(&budget), bytes_(bytes) {}
    Lease(Lease&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Lease() {
      if (budget_ != nullptr) budget_->used_ -= bytes_;
    }
    explicit operator bool() const { return budget_ != nullptr; }

   private:
    ByteBudget* budget_ = nullptr;
    std::uint64_t bytes_ = 0;
  };
  /// An empty lease when there is no room: do without (a smaller buffer, a read from the store), or end.
  Lease try_take(std::uint64_t bytes);

  std::uint64_t used() const { return used_; }
  std::uint64_t bytes_max() const { return bytes_max_; }

 private:
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> used_ = 0;
};

}  // namespace postern::gateway
