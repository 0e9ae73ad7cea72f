#include "gateway/metrics.hpp"

namespace postern::gateway {

Metrics::Metrics() {
  collect([this](Scrape& scrape) { tell_requests(scrape); });
  collect(collect_process);
}

void Metrics::count_request(std::string_view method, int status, std::string_view route,
                            std::uint64_t body_bytes) {
  const std::tuple key(method, status, route);
  const std::lock_guard lock(mutex_);
  auto found = requests_.find(key);
  if (found == requests_.end()) {
    found = requests_.emplace(std::tuple(std::string(method), status, std::string(route)), Counts{}).first;
  }
  ++found->second.requests;
  found->second.bytes += body_bytes;
}

void Metrics::tell_requests(Scrape& scrape) const {
  constexpr std::string_view kRequests = "mender_gateway_http_requests_total";
  constexpr std::string_view kBytes = "mender_gateway_http_response_bytes_total";
  constexpr std::string_view kRequestsHelp = "Requests answered, by method, status and route.";
  constexpr std::string_view kBytesHelp = "Bytes of response bodies.";
  scrape.describe("counter", kRequests, kRequestsHelp);
  scrape.describe("counter", kBytes, kBytesHelp);
  const std::lock_guard lock(mutex_);
  for (const auto& [key, counts] : requests_) {
    const auto& [method, status, route] = key;
    const std::string code = std::to_string(status);
    scrape.counter(kRequests, kRequestsHelp, counts.requests,
                   {{"method", method}, {"code", code}, {"route", route}});
    scrape.counter(kBytes, kBytesHelp, counts.bytes, {{"method", method}, {"code", code}, {"route", route}});
  }
}

}  // namespace postern::gateway
