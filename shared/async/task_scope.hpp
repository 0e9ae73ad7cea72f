// Structured ownership of coroutines.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_type.hpp>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

namespace postern {

/// Owns coroutines. spawn() and stop() may be called from any thread; join() runs on the home executor.
/// A scope that is destroyed while children run is a bug, and asserted.
class TaskScope {
 public:
  TaskScope(net::any_io_executor home, Log& log);
  ~TaskScope();
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  /// Starts `task` on `on`. Returns false, and drops `task` unrun, once stop() was called. An exception that
  /// leaves the task is logged as a bug with `name`; cancellation is not thrown into it, it sees failed
  /// waits.
  bool spawn(const net::any_io_executor& on, std::string name, net::awaitable<void> task);
  /// Refuses new children and emits `how` to each child, on that child's executor.
  void stop(net::cancellation_type how);
  /// Waits until all children have ended. Errors: exhausted when `grace` ran out first.
  net::awaitable<Status> join(Clock& clock, Duration grace);

  std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace postern
