#include "gateway/traffic/traffic.hpp"

namespace postern::gateway {
namespace {

double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

void collect_link(Scrape& scrape, std::string_view link, const Limiter& limiter) {
  for (std::size_t index = 0; index < kTrafficNames.size(); ++index) {
    const Limiter::Counters counters = limiter.counters(static_cast<Traffic>(index));
    const MetricLabels labels{{"link", link}, {"class", kTrafficNames[index]}};
    scrape.counter("postern_gateway_traffic_granted_bytes_total", "Bytes that a link was used for.",
                   counters.granted_bytes, labels);
    scrape.gauge("postern_gateway_traffic_waiting", "Transfers that wait for a link's rate.",
                 counters.waiting, labels);
    scrape.counter("postern_gateway_traffic_waited_seconds_total",
                   "Time that transfers have waited for a link's rate, all together.",
                   seconds_of(counters.waited), labels);
  }
  const Rate rate = limiter.rate();
  scrape.gauge("postern_gateway_traffic_rate_bytes_per_second",
               "The rate of a link now; 0 when it is closed to artifacts.",
               rate.is_unlimited() ? std::numeric_limits<double>::infinity()
                                   : static_cast<double>(rate.bytes_per_second),
               {{"link", link}});
}

}  // namespace

TrafficControl::TrafficControl(TrafficOptions options, Clock& clock, Log& log,
                               const net::any_io_executor& executor)
    : uplink(std::move(options.uplink), clock, log, executor),
      site(std::move(options.site), clock, log, executor),
      admission(options.downloads_max, clock) {}

void TrafficControl::start() {
  uplink.start();
  site.start();
}

net::awaitable<Status> TrafficControl::stop() {
  Status outcome = co_await uplink.stop();
  if (auto stopped = co_await site.stop(); !stopped) outcome = std::move(stopped);
  co_return outcome;
}

bool TrafficControl::may_tell(std::string_view device, std::string_view deployment) {
  return !site.is_closed() && admission.admit(device, deployment);
}

void TrafficControl::collect(Scrape& scrape) const {
  collect_link(scrape, "uplink", uplink);
  collect_link(scrape, "site", site);
  scrape.gauge("postern_gateway_traffic_downloads", "Downloads under way.", admission.downloads());
  scrape.gauge("postern_gateway_traffic_downloads_max", "Downloads that may be under way; 0 is no bound.",
               admission.downloads_max());
  scrape.counter("postern_gateway_traffic_polls_deferred_total",
                 "Polls whose update was put off because enough downloads are under way.",
                 admission.deferred());
}

}  // namespace postern::gateway
