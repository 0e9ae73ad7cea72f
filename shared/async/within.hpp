// Deadlines.
#pragma once

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>

#include "shared/base/cancellation.hpp"
#include "shared/base/clock.hpp"

namespace postern {

namespace detail {

/// In a race each side is a coroutine of its own, to which Asio tells a cancellation by an exception unless
/// told not to.
template <class T>
net::awaitable<Result<T>> without_throwing(net::awaitable<Result<T>> operation) {
  co_await net::this_coro::throw_if_cancelled(false);
  co_return co_await std::move(operation);
}

}  // namespace detail

/// Runs `operation` for at most `limit`; the loser of the race is cancelled and awaited.
/// Errors: those of `operation`; exhausted with Reason::timed_out at the deadline; cancelled.
template <class T>
net::awaitable<Result<T>> within(Clock& clock, Duration limit, net::awaitable<Result<T>> operation) {
  using namespace net::experimental::awaitable_operators;  // NOLINT: the operators are what is wanted
  if (co_await was_cancelled()) co_return cancelled("wait with a deadline");
  auto race = co_await (detail::without_throwing(std::move(operation)) ||
                        detail::without_throwing(clock.sleep(limit)));
  if (race.index() == 0) co_return std::get<0>(std::move(race));
  if (!std::get<1>(race)) co_return std::get<1>(std::move(race)).error();
  co_return Error{Kind::exhausted, Reason::timed_out, "deadline passed"};
}

}  // namespace postern
