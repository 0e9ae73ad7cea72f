#include "gateway/metrics.hpp"

namespace postern::gateway {

void Metrics::count_request(std::string_view method, int status, std::string_view route,
                            std::uint64_t body_bytes) {
  const std::string labels = fmt::format("method=\"{}\",code=\"{}\",route=\"{}\"", method, status, route);
  const std::lock_guard lock(mutex_);
  Counts& counts = by_labels_[labels];
  ++counts.requests;
  counts.bytes += body_bytes;
}

std::string Metrics::text() const {
  std::string text;
  const auto describe = [&](std::string_view name, std::string_view help) {
    text += fmt::format("# HELP {} {}\n# TYPE {} counter\n", name, help, name);
  };
  {
    const std::lock_guard lock(mutex_);
    describe("mender_gateway_http_requests_total", "Requests answered, by method, status and route.");
    for (const auto& [labels, counts] : by_labels_) {
      text += fmt::format("mender_gateway_http_requests_total{{{}}} {}\n", labels, counts.requests);
    }
    describe("mender_gateway_http_response_bytes_total", "Bytes of response bodies.");
    for (const auto& [labels, counts] : by_labels_) {
      text += fmt::format("mender_gateway_http_response_bytes_total{{{}}} {}\n", labels, counts.bytes);
    }
  }
  const auto add = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    describe(name, help);
    text += fmt::format("{} {}\n", name, value);
  };
  add("postern_gateway_uplink_artifact_bytes_total", "Body bytes of artifacts received from the upstream.",
      uplink_artifact_bytes);
  add("postern_gateway_site_artifact_bytes_total", "Body bytes of artifacts given to devices.",
      site_artifact_bytes);
  add("postern_gateway_cache_fills_total", "Fills of the cache that were begun.", cache_fills);
  add("postern_gateway_cache_refusals_total", "Artifacts that failed their verification.", cache_refusals);
  add("postern_gateway_pass_throughs_total", "Downloads that went past the cache.", pass_throughs);
  return text;
}

}  // namespace postern::gateway
