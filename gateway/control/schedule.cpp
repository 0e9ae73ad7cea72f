#include "gateway/control/schedule.hpp"

#include <charconv>
#include <ctime>

#include <fmt/format.h>

namespace postern::gateway {
namespace {

/// Digits only, all of them.
std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.front() == '-' || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::tm local_parts(WallTime time) {
  const std::time_t seconds = static_cast<std::time_t>(unix_seconds(time));
  std::tm parts{};
  localtime_r(&seconds, &parts);
  return parts;
}

WallTime from_parts(std::tm parts) {
  parts.tm_isdst = -1;  // whatever holds then
  return WallTime(std::chrono::seconds(std::mktime(&parts)));
}

}  // namespace

Result<unsigned> parse_minute_of_day(std::string_view text) {
  const auto colon = text.find(':');
  const auto hour = colon == std::string_view::npos ? std::nullopt : number_of(text.substr(0, colon));
  const auto minute = colon == std::string_view::npos ? std::nullopt : number_of(text.substr(colon + 1));
  if (!hour || !minute || *hour > 23 || *minute > 59 || text.size() != 5) {
    return invalid(fmt::format("\"{}\" is no time of day: write it as 06:30", text));
  }
  return static_cast<unsigned>(*hour * 60 + *minute);
}

std::string minute_of_day_text(unsigned minute) {
  return fmt::format("{:02}:{:02}", minute / 60, minute % 60);
}

WallTime next_daily(WallTime now, unsigned minute) {
  std::tm parts = local_parts(now);
  parts.tm_hour = static_cast<int>(minute / 60);
  parts.tm_min = static_cast<int>(minute % 60);
  parts.tm_sec = 0;
  const WallTime today = from_parts(parts);
  if (today > now) return today;
  ++parts.tm_mday;
  return from_parts(parts);
}

Result<WallTime> parse_time(std::string_view text, WallTime now) {
  if (const auto minute = parse_minute_of_day(text)) return next_daily(now, *minute);
  if (auto time = from_rfc3339(text)) return time;
  const auto bad = [&] {
    return invalid(fmt::format(
        "\"{}\" is no time: write it as 22:30, \"2026-05-01 22:30\" or 2026-05-01T22:30:00Z", text));
  };
  if (text.size() != 16 || (text[10] != ' ' && text[10] != 'T') || text[4] != '-' || text[7] != '-') {
    return bad();
  }
  const auto year = number_of(text.substr(0, 4));
  const auto month = number_of(text.substr(5, 2));
  const auto day = number_of(text.substr(8, 2));
  const auto minute = parse_minute_of_day(text.substr(11));
  if (!year || !month || !day || !minute) return bad();
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *year < 1970) return bad();
  std::tm parts{};
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  parts.tm_hour = static_cast<int>(*minute / 60);
  parts.tm_min = static_cast<int>(*minute % 60);
  return from_parts(parts);
}

std::string local_text(WallTime time) {
  const std::tm parts = local_parts(time);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace postern::gateway
