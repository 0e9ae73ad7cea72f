// Two operations side by side, of which the first to end decides.
#pragma once

#include "shared/base/clock.hpp"

namespace postern::device {

struct RaceEnd {
  int winner = 0;
  Status status;
};

/// Runs both until one has ended, and returns its result; the other is cancelled and awaited. An exception
/// that leaves one of them ends the race too; that of a cancellation becomes a result. Runs on: the executor
/// of the calling coroutine.
net::awaitable<RaceEnd> race(net::awaitable<Status> first, net::awaitable<Status> second);

}  // namespace postern::device
