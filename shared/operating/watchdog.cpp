#include "shared/operating/watchdog.hpp"

namespace postern {

net::awaitable<void> feed_watchdog(const Supervisor& supervisor, const LoopMonitor& loops, Clock& clock,
                                   Log& log, Duration interval) {
  for (;;) {
    if (loops.is_alive()) {
      if (auto told = supervisor.alive(); !told) {
        log.warn("service.watchdog_not_told", {{"error", told.error().what}});
      }
    }
    if (auto slept = co_await clock.sleep(interval / 3); !slept) co_return;
  }
}

}  // namespace postern
