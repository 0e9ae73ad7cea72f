#include "device/update/race.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace postern::device {
namespace {

struct Outcome {
  Status status;
  std::exception_ptr exception;
};

net::awaitable<Outcome> guard(net::awaitable<Status> operation) {
  try {
    co_return Outcome{co_await std::move(operation), nullptr};
  } catch (const boost::system::system_error& error) {
    if (error.code() == net::error::operation_aborted) co_return Outcome{cancelled("operation"), nullptr};
    co_return Outcome{{}, std::current_exception()};
  } catch (...) {
    co_return Outcome{{}, std::current_exception()};
  }
}

}  // namespace

net::awaitable<RaceEnd> race(net::awaitable<Status> first, net::awaitable<Status> second) {
  using namespace net::experimental::awaitable_operators;  // NOLINT: the operators are what is wanted
  auto ended = co_await (guard(std::move(first)) || guard(std::move(second)));
  const int winner = static_cast<int>(ended.index());
  Outcome outcome = winner == 0 ? std::get<0>(std::move(ended)) : std::get<1>(std::move(ended));
  if (outcome.exception) std::rethrow_exception(outcome.exception);
  co_return RaceEnd{winner, std::move(outcome.status)};
}

}  // namespace postern::device
