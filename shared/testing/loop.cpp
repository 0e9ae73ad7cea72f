#include "shared/testing/loop.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/base/cancellation.hpp"

namespace postern::testing {

WallTime FakeClock::wall() const {
  constexpr WallTime kStart(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1));
  const auto elapsed = now_ - SteadyTime(std::chrono::hours(1));
  return kStart + std::chrono::duration_cast<std::chrono::milliseconds>(elapsed) + wall_shift_;
}

net::awaitable<Status> FakeClock::sleep_until(SteadyTime when) {
  if (co_await was_cancelled()) co_return cancelled("sleep");
  if (when <= now_) co_return Status{};
  const auto sleeper = std::make_shared<Sleeper>(
      Sleeper{when, false,
              net::steady_timer(co_await net::this_coro::executor, net::steady_timer::time_point::max())});
  const auto place = std::ranges::find_if(sleepers_, [&](const auto& other) { return other->when > when; });
  const auto mine = sleepers_.insert(place, sleeper);
  co_await sleeper->timer.async_wait(net::as_tuple(net::use_awaitable));
  if (sleeper->woken) co_return Status{};
  sleepers_.erase(mine);
  co_return cancelled("sleep");
}

std::optional<SteadyTime> FakeClock::next_wake() const {
  if (sleepers_.empty()) return std::nullopt;
  return sleepers_.front()->when;
}

void FakeClock::set_now(SteadyTime now) {
  POSTERN_ASSERT(now >= now_);
  now_ = now;
  while (!sleepers_.empty() && sleepers_.front()->when <= now_) {
    const auto sleeper = sleepers_.front();
    sleepers_.pop_front();
    sleeper->woken = true;
    sleeper->timer.cancel();
  }
}

void Loop::settle() {
  context_.restart();
  context_.poll();
}

void Loop::advance(Duration by) {
  const SteadyTime end = clock_.now() + by;
  settle();
  while (const auto wake = clock_.next_wake()) {
    if (*wake > end) break;
    clock_.set_now(*wake);
    settle();
  }
  clock_.set_now(end);
  settle();
}

void Loop::run_until(const std::function<bool()>& done, SteadyTime end) {
  settle();
  while (!done()) {
    const auto wake = clock_.next_wake();
    POSTERN_ASSERT(wake.has_value() && "nothing is left that could finish the operation");
    POSTERN_ASSERT(*wake <= end && "the operation did not finish in time");
    clock_.set_now(*wake);
    settle();
  }
}

}  // namespace postern::testing
