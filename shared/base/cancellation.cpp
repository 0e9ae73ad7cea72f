#include "shared/base/cancellation.hpp"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

namespace postern {

net::awaitable<bool> was_cancelled() {
  const net::cancellation_state state = co_await net::this_coro::cancellation_state;
  co_return state.cancelled() != net::cancellation_type::none;
}

}  // namespace postern
