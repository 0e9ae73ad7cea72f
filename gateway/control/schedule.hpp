// When something is to be done: at a time, or every day at one.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/clock.hpp"

namespace postern::gateway {

/// Minutes after midnight of "06:30". Errors: invalid.
Result<unsigned> parse_minute_of_day(std::string_view text);
/// "06:30"
std::string minute_of_day_text(unsigned minute);

/// The first time after `now` at which the clock on the wall shows that minute, in the machine's time zone. A
/// minute that a change of daylight saving time leaves out comes an hour later.
WallTime next_daily(WallTime now, unsigned minute);

/// Reads a time of an operator's: RFC 3339, or "2026-05-01 22:30" or "22:30" (the next) in the machine's time
/// zone. Errors: invalid.
Result<WallTime> parse_time(std::string_view text, WallTime now);

/// "2026-05-01 22:30:00" in the machine's time zone.
std::string local_text(WallTime time);

}  // namespace postern::gateway
