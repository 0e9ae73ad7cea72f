// What bounds the traffic of a site: its two links, and how much may be under way.
#pragma once

#include "gateway/traffic/admission.hpp"
#include "gateway/traffic/limiter.hpp"
#include "shared/base/metrics.hpp"

namespace postern::gateway {

struct TrafficOptions {
  Calendar uplink;                     ///< what comes from the upstream
  Calendar site;                       ///< what goes to the devices
  std::size_t downloads_max = 10'000;  ///< 0: no bound
};

/// Thread-safe.
struct TrafficControl {
  /// The links follow their calendars on `executor`.
  TrafficControl(TrafficOptions options, Clock& clock, Log& log, const net::any_io_executor& executor);

  void start();
  /// Whoever waits for a link is told that it is over. Runs on: the executor.
  net::awaitable<Status> stop();

  /// Whether a device may be told now of a deployment; see Admission.
  bool may_tell(std::string_view device, std::string_view deployment);

  void collect(Scrape& scrape) const;

  Limiter uplink;
  Limiter site;
  Admission admission;
};

}  // namespace postern::gateway
