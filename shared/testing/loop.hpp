// A single-threaded, deterministic executor with virtual time. A whole system that takes its executor, clock,
// randomness and network from outside runs on it unchanged, and always in the same order.
#pragma once

#include <list>
#include <memory>
#include <mutex>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/base/check.hpp"
#include "shared/base/clock.hpp"

namespace postern::testing {

/// Time that moves only when it is told to. Starts at 2026-01-01T00:00:00Z. Runs on: one thread.
class FakeClock final : public Clock {
 public:
  WallTime wall() const override;
  SteadyTime now() const override { return now_; }
  net::awaitable<Status> sleep_until(SteadyTime when) override;

  /// When the next sleeper wakes.
  std::optional<SteadyTime> next_wake() const;
  /// Sets the time and wakes everyone whose time has come, in order. The caller then runs what became ready.
  void set_now(SteadyTime now);
  /// Moves the wall clock alone, as an administrator or a dead battery does.
  void shift_wall(std::chrono::milliseconds by) { wall_shift_ += by; }

 private:
  struct Sleeper {
    SteadyTime when;
    bool woken = false;
    net::steady_timer timer;
  };

  SteadyTime now_{std::chrono::hours(1)};
  std::chrono::milliseconds wall_shift_{0};
  std::list<std::shared_ptr<Sleeper>> sleepers_;
};

/// Owns the executor and the clock.
class Loop {
 public:
  net::any_io_executor executor() { return context_.get_executor(); }
  FakeClock& clock() { return clock_; }

  /// Runs everything that is ready, without moving time.
  void settle();
  /// Moves time on by `by`, stopping at each sleeper on the way.
  void advance(Duration by);
  /// Starts `operation`, then lets time jump to whatever is due next until it has finished. Aborts when
  /// nothing is left that could finish it, or after `limit` of virtual time.
  template <class T>
  T run(net::awaitable<T> operation, Duration limit = std::chrono::hours(24)) {
    std::optional<T> result;
    std::exception_ptr failure;
    net::co_spawn(context_, std::move(operation), [&](const std::exception_ptr& error, T value) {
      failure = error;
      result = std::move(value);
    });
    const SteadyTime end = clock_.now() + limit;
    run_until([&] { return result.has_value(); }, end);
    if (failure) std::rethrow_exception(failure);
    return *std::move(result);
  }

 private:
  void run_until(const std::function<bool()>& done, SteadyTime end);

  net::io_context context_{1};
  FakeClock clock_;
};

}  // namespace postern::testing
