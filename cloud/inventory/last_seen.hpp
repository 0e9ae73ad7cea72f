// When each device came last: kept in memory, and stored once a minute (decision 20).
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/base/clock.hpp"

namespace postern::cloud {

struct Sighting {
  std::uint32_t device = 0;
  WallTime at;
};

class SightingReader {
 public:
  virtual ~SightingReader() = default;
  virtual Result<std::vector<Sighting>> list() const = 0;
};

class SightingWriter {
 public:
  virtual ~SightingWriter() = default;
  virtual Status put(const Sighting& sighting) = 0;
  virtual Status erase(std::uint32_t device) = 0;
};

class Store;

/// Thread-safe.
class LastSeen {
 public:
  explicit LastSeen(Store& store) : store_(store) {}

  /// Reads what was stored. Call it once, before the first note().
  net::awaitable<Status> load();
  void note(std::uint32_t device, WallTime now);
  void forget(std::uint32_t device);
  /// Nothing: never seen.
  std::optional<WallTime> of(std::uint32_t device) const;
  /// Milliseconds by ordinal; 0, or beyond the end: never seen.
  std::vector<std::int64_t> all() const;
  /// Stores what is not stored yet.
  net::awaitable<Status> flush();

 private:
  static constexpr std::size_t kStoredAtOnce = 500;

  Store& store_;
  mutable std::mutex mutex_;
  std::vector<std::int64_t> times_ms_;  ///< by ordinal
  std::vector<bool> is_unstored_;       ///< by ordinal
  std::vector<std::uint32_t> unstored_;
};

}  // namespace postern::cloud
