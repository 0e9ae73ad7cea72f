// What the gateway counts, and how it is told to Prometheus (device-protocol 8.7).
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>

namespace postern::gateway {

/// Thread-safe.
class Metrics {
 public:
  /// Counts an answered request. `route` is the pattern that matched, never the path.
  void count_request(std::string_view method, int status, std::string_view route, std::uint64_t body_bytes);

  std::atomic<std::uint64_t> uplink_artifact_bytes =
      0;                                               ///< body bytes of artifacts received from the upstream
  std::atomic<std::uint64_t> site_artifact_bytes = 0;  ///< body bytes of artifacts given to devices
  std::atomic<std::uint64_t> cache_fills = 0;
  std::atomic<std::uint64_t> cache_refusals = 0;  ///< artifacts that failed their verification
  std::atomic<std::uint64_t> pass_throughs = 0;   ///< downloads that went past the cache

  /// Prometheus text.
  std::string text() const;

 private:
  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Counts> by_labels_;
};

}  // namespace postern::gateway
