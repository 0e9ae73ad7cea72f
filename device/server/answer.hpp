// What a server's answer means to us (device-protocol 0.4 and 1.6).
#pragma once

#include "shared/base/clock.hpp"
#include "shared/http/message.hpp"

namespace postern::device {

/// An answer that has been read whole.
struct Answer {
  int status = 0;
  http::Headers headers;
  std::string body;
};

/// An answer that is no success, with the server's own words where it has any. `what` says what was asked,
/// as in "report status". 5xx and 429 are transient; 401, 403, 404, 409 and 413 have their reasons.
Error error_of(std::string_view what, const Answer& answer);

/// Longest wait that a server can ask for; what is longer is cut to it.
inline constexpr Duration kRetryAfterMax = std::chrono::hours(24);

/// How long a Retry-After field asks to wait: a number of seconds, or the time until an HTTP date (RFC 9110
/// section 10.2.3). Nothing when it cannot be read, or asks for no wait.
std::optional<Duration> parse_retry_after(std::string_view field, WallTime now);

}  // namespace postern::device
