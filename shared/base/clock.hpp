// Time as something passed in: the wall clock, the monotonic clock, and waiting.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "shared/base/result.hpp"

namespace postern {

namespace net = boost::asio;

using Duration = std::chrono::nanoseconds;
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
/// A point on the monotonic clock. Only differences mean something.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// The only source of time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;
  virtual SteadyTime now() const = 0;
  /// Waits until `when` on the executor of the calling coroutine. Errors: cancelled.
  virtual net::awaitable<Status> sleep_until(SteadyTime when) = 0;

  net::awaitable<Status> sleep(Duration wait) { return sleep_until(now() + wait); }
};

/// The machine's clocks.
class SystemClock final : public Clock {
 public:
  WallTime wall() const override;
  SteadyTime now() const override;
  net::awaitable<Status> sleep_until(SteadyTime when) override;
};

/// RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z (management-api 0.6).
std::string to_rfc3339(WallTime time);
/// Reads RFC 3339 with any offset and any number of fraction digits; a comma before the fraction is taken
/// too, because microcontroller clients write one (device-protocol 2.6). Errors: invalid.
Result<WallTime> from_rfc3339(std::string_view text);

std::int64_t unix_seconds(WallTime time);

}  // namespace postern
