// What coroutines of one executor wait for: a flag, and a change.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/base/clock.hpp"

namespace postern {

/// Runs on: one executor; every call is made there.
class Event {
 public:
  explicit Event(const net::any_io_executor& executor)
      : timer_(executor, net::steady_timer::time_point::max()) {}

  /// Waits until set() is called; returns at once when it has been. Errors: cancelled.
  net::awaitable<Status> wait();
  /// Wakes everyone who waits, and everyone who will, until reset().
  void set();
  void reset() { is_set_ = false; }
  bool is_set() const { return is_set_; }

 private:
  bool is_set_ = false;
  net::steady_timer timer_;
};

/// Tells waiting coroutines of one executor that something has changed; they look for themselves what.
/// Runs on: one executor; every call is made there.
class Notifier {
 public:
  explicit Notifier(const net::any_io_executor& executor)
      : timer_(executor, net::steady_timer::time_point::max()) {}

  /// Waits for the next notify(). Errors: cancelled.
  net::awaitable<Status> wait();
  void notify();

 private:
  std::uint64_t generation_ = 0;
  net::steady_timer timer_;
};

}  // namespace postern
