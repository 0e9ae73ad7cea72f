#include "shared/async/loop_monitor.hpp"

namespace postern {

LoopMonitor::LoopMonitor(Clock& clock, Log& log, const std::vector<net::any_io_executor>& executors)
    : clock_(clock), scope_(executors.at(0), log) {
  for (const net::any_io_executor& executor : executors) loops_.emplace_back(executor, clock.now());
}

void LoopMonitor::start() {
  for (Loop& loop : loops_) {
    loop.beat = clock_.now();
    scope_.spawn(loop.executor, "loop.beat", beat(loop));
  }
}

net::awaitable<void> LoopMonitor::beat(Loop& loop) {
  for (;;) {
    loop.beat = clock_.now();
    if (auto slept = co_await clock_.sleep(kInterval); !slept) co_return;
  }
}

Duration LoopMonitor::silence() const {
  Duration longest{};
  const SteadyTime now = clock_.now();
  for (const Loop& loop : loops_) longest = std::max(longest, Duration(now - loop.beat.load()));
  return longest;
}

net::awaitable<Status> LoopMonitor::stop() {
  scope_.stop(net::cancellation_type::terminal);
  co_return co_await scope_.join(clock_, std::chrono::seconds(5));
}

}  // namespace postern
