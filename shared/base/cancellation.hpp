// Whether a coroutine was asked to end.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace postern {

namespace net = boost::asio;

/// Whether the calling coroutine was cancelled. A cancellation that comes while nothing waits that could be
/// cancelled is remembered, not repeated: a wait that begins afterwards would last as if nothing had
/// happened. So whoever waits, or goes on for long, asks first.
net::awaitable<bool> was_cancelled();

}  // namespace postern
