// How much may be under way at once when a whole site powers up.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "shared/base/clock.hpp"

namespace postern::gateway {

/// Bounds the downloads at a time. A device beyond the bound is not told of its update yet: its poll gets
/// "nothing to do" (decisions 2 and 5). Whoever was told is never turned away. Thread-safe.
class Admission {
 public:
  /// A place is kept this long for a device that was told and has not come yet.
  static constexpr Duration kReservation = std::chrono::minutes(1);
  /// A device that was told of a deployment is told again for so long, whatever is under way.
  static constexpr Duration kMemory = std::chrono::hours(1);

  /// `downloads_max` 0: no bound.
  Admission(std::size_t downloads_max, Clock& clock) : downloads_max_(downloads_max), clock_(clock) {}

  /// Whether a device may be told now of a deployment; then a place is kept for it. `device` is whatever
  /// tells devices apart: an id, a token.
  bool admit(std::string_view device, std::string_view deployment);

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
  std::map<std::string, SteadyTime, std::less<>> told_;  ///< device and deployment, until when
  std::deque<std::pair<SteadyTime, std::string>> told_in_order_;
};

}  // namespace postern::gateway
