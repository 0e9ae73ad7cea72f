// Tells the service manager that the program still works.
#pragma once

#include "shared/async/loop_monitor.hpp"
#include "shared/io/supervisor.hpp"

namespace postern {

/// Says so three times in each `interval` while every event loop answers, until it is cancelled. A manager
/// that cannot be told is told of in the log, "service.watchdog_not_told".
net::awaitable<void> feed_watchdog(const Supervisor& supervisor, const LoopMonitor& loops, Clock& clock,
                                   Log& log, Duration interval);

}  // namespace postern
