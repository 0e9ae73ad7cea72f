// Deadlines.
#pragma once

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "shared/base/clock.hpp"

namespace postern {

/// Runs `operation` for at most `limit`; the loser of the race is cancelled and awaited.
/// Errors: those of `operation`; exhausted with Reason::timed_out at the deadline; cancelled.
template <class T>
net::awaitable<Result<T>> within(Clock& clock, Duration limit, net::awaitable<Result<T>> operation) {
  using namespace net::experimental::awaitable_operators;  // NOLINT: the operators are what is wanted
  auto race = co_await (std::move(operation) || clock.sleep(limit));
  if (race.index() == 0) co_return std::get<0>(std::move(race));
  if (!std::get<1>(race)) co_return std::get<1>(std::move(race)).error();
  co_return Error{Kind::exhausted, Reason::timed_out, "deadline passed"};
}

}  // namespace postern
