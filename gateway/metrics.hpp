// What the gateway counts (device-protocol 8.7).
#pragma once

#include <tuple>

#include "shared/base/metrics.hpp"

namespace postern::gateway {

/// Whoever counts something new adds a line here, or a collector (MetricRegistry::collect) for what is known
/// elsewhere. Thread-safe.
class Metrics : public MetricRegistry {
 public:
  Metrics();

  /// Counts an answered request. `route` is the pattern that matched, never the path.
  void count_request(std::string_view method, int status, std::string_view route, std::uint64_t body_bytes);

  Counter uplink_artifact_bytes{*this, "postern_gateway_uplink_artifact_bytes_total",
                                "Body bytes of artifacts received from the upstream."};
  Counter site_artifact_bytes{*this, "postern_gateway_site_artifact_bytes_total",
                              "Body bytes of artifacts given to devices."};
  Counter cache_fills{*this, "postern_gateway_cache_fills_total", "Fills of the cache that were begun."};
  Counter cache_fill_failures{*this, "postern_gateway_cache_fill_failures_total",
                              "Fills that ended before they had brought everything."};
  Counter cache_hits{*this, "postern_gateway_cache_hits_total",
                     "Downloads of artifacts that were here, whole and verified."};
  Counter cache_joined{*this, "postern_gateway_cache_joined_total",
                       "Downloads that joined a fill that was running."};
  Counter cache_misses{*this, "postern_gateway_cache_misses_total",
                       "Downloads for which something had to be fetched."};
  Counter cache_bytes{*this, "postern_gateway_cache_bytes_total",
                      "Body bytes of artifacts given to devices from the cache."};
  Counter cache_evictions{*this, "postern_gateway_cache_evictions_total", "Artifacts that were evicted."};
  Counter cache_evicted_bytes{*this, "postern_gateway_cache_evicted_bytes_total",
                              "Bytes that this has given back."};
  Counter cache_chunks_scrubbed{*this, "postern_gateway_cache_chunks_scrubbed_total",
                                "Stored parts of artifacts that were looked at in the background."};
  Counter cache_refusals{*this, "postern_gateway_cache_refusals_total",
                         "Artifacts that failed their verification."};
  Counter pass_throughs{*this, "postern_gateway_pass_throughs_total", "Downloads that went past the cache."};
  CounterFamily handshakes{
      *this, "postern_gateway_handshakes_total", "TLS handshakes of devices, by result.", {"result"}};

 private:
  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
  };
  void tell_requests(Scrape& scrape) const;

  mutable std::mutex mutex_;
  std::map<std::tuple<std::string, int, std::string>, Counts, std::less<>> requests_;
};

}  // namespace postern::gateway
