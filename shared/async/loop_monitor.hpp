// Whether event loops still answer: a coroutine that blocks or spins stops everybody else on its loop.
#pragma once

#include <atomic>
#include <list>
#include <vector>

#include "shared/async/task_scope.hpp"

namespace postern {

/// Each loop notes the time once a second; a loop that has not done so for long is stuck. Thread-safe.
class LoopMonitor {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(1);
  /// A loop that is silent for longer does not live.
  static constexpr Duration kSilenceMax = std::chrono::seconds(10);

  LoopMonitor(Clock& clock, Log& log, const std::vector<net::any_io_executor>& executors);

  /// Starts to watch. Call it once.
  void start();
  /// How long the most silent of the loops has been silent.
  Duration silence() const;
  bool is_alive() const { return silence() <= kSilenceMax; }
  /// Ends it. Runs on: the first executor.
  net::awaitable<Status> stop();

 private:
  struct Loop {
    net::any_io_executor executor;
    std::atomic<SteadyTime> beat;
  };
  net::awaitable<void> beat(Loop& loop);

  Clock& clock_;
  std::list<Loop> loops_;
  TaskScope scope_;
};

}  // namespace postern
