#include "shared/async/event.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/base/cancellation.hpp"

namespace postern {

net::awaitable<Status> Event::wait() {
  // Each round ends with a cancelled timer; the flag tells a wake-up from a cancellation from outside.
  if (is_set_) co_return Status{};
  if (co_await was_cancelled()) co_return cancelled("wait for an event");
  co_await timer_.async_wait(net::as_tuple(net::use_awaitable));
  if (is_set_) co_return Status{};
  co_return cancelled("wait for an event");
}

void Event::set() {
  is_set_ = true;
  timer_.cancel();
}

net::awaitable<Status> Notifier::wait() {
  if (co_await was_cancelled()) co_return cancelled("wait for a change");
  const std::uint64_t seen = generation_;
  co_await timer_.async_wait(net::as_tuple(net::use_awaitable));
  if (generation_ != seen) co_return Status{};
  co_return cancelled("wait for a change");
}

void Notifier::notify() {
  ++generation_;
  timer_.cancel();
}

}  // namespace postern
