// How much may flow, and when: a week of rates.
#pragma once

#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"

namespace postern::gateway {

/// A rate of a link.
struct Rate {
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t bytes_per_second = kUnlimited;

  bool is_unlimited() const { return bytes_per_second == kUnlimited; }
  /// Nothing but state may pass.
  bool is_closed() const { return bytes_per_second == 0; }
  /// "2 Mbit/s", "unlimited", "off".
  std::string to_string() const;

  bool operator==(const Rate&) const = default;
};

/// What clocks on the wall show.
using LocalTime = std::chrono::local_time<std::chrono::milliseconds>;
/// How UTC becomes local time. Thread-safe.
using TimeZone = std::function<LocalTime(WallTime)>;

/// The machine's: TZ, or /etc/localtime.
LocalTime to_local_time(WallTime time);
/// Makes a zone of the system's database, such as "Europe/Berlin", the one of to_local_time(). Call it before
/// there are threads. Errors: invalid, when there is no such zone.
Status use_time_zone(const std::string& name);

/// Rates over a week of local time, to the minute. Immutable.
///
///   calendar  = rule { "," rule }
///   rule      = [ days ] [ times ] rate | "else" rate
///   days      = day [ "-" day ] { "," ... }           Mon Tue Wed Thu Fri Sat Sun
///   times     = HH:MM "-" HH:MM { "," ... }           up to 24:00; over midnight when the end is the smaller
///   one rate      = number unit | "unlimited" | "off" | "0" unit      = bit/s kbit/s Mbit/s Gbit/s B/s kB/s
///   MB/s GB/s KiB/s MiB/s GiB/s
///
/// The first rule that fits applies; a range over midnight belongs to the day on which it begins. When none
/// fits, the rate is unlimited. Example: "Mon-Fri 06:00-22:00 2 Mbit/s, else 20 Mbit/s".
class Calendar {
 public:
  static constexpr std::size_t kTextBytesMax = 4096;
  static constexpr std::uint64_t kRateMin = 125;                     ///< 1 kbit/s
  static constexpr std::uint64_t kRateMax = std::uint64_t{1} << 40;  ///< 1 TiB/s

  /// Always the same rate.
  explicit Calendar(Rate rate = {}) : changes_{{.minute = 0, .rate = rate}} {}
  /// An empty text is unlimited. Errors: invalid, with the column (from 1) and what was expected there.
  static Result<Calendar> parse(std::string_view text);

  Rate rate_at(LocalTime time) const;
  /// When the rate is another one for the first time after `time`; nothing when it always stays the same.
  /// Clocks may be put forward or back until then (summer time), so look again now and then.
  std::optional<LocalTime> next_change(LocalTime time) const;
  bool is_constant() const { return changes_.size() == 1; }

 private:
  struct Change {
    std::uint32_t minute;  ///< of the week, from Monday 00:00
    Rate rate;
  };
  std::size_t index_at(LocalTime time) const;

  std::vector<Change>
      changes_;  ///< by minute; the first is at 0; neighbours differ, unless it is the last and the first
};

}  // namespace postern::gateway
