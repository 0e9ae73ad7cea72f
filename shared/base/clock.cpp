#include "shared/base/clock.hpp"

#include <charconv>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/base/cancellation.hpp"

namespace postern {

WallTime SystemClock::wall() const {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::now() const {
  return std::chrono::steady_clock::now();
}

net::awaitable<Status> SystemClock::sleep_until(SteadyTime when) {
  if (co_await was_cancelled()) co_return cancelled("sleep");
  net::steady_timer timer(co_await net::this_coro::executor, when);
  const auto [error] = co_await timer.async_wait(net::as_tuple(net::use_awaitable));
  if (error) co_return cancelled("sleep");
  co_return Status{};
}

std::string to_rfc3339(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

namespace {

/// Takes exactly `digits` decimal digits from the front of `text`.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc{} || end != text.data() + digits || value < 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::chrono::milliseconds take_fraction(std::string_view& text) {
  int value = 0;
  int digits = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    if (digits < 3) value = value * 10 + (text.front() - '0');
    ++digits;
    text.remove_prefix(1);
  }
  for (; digits < 3; ++digits) value *= 10;
  return std::chrono::milliseconds(value);
}

/// "Z", "+hh:mm" or "-hh:mm" at the very end.
std::optional<std::chrono::minutes> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return std::chrono::minutes(0);
  const bool negative = !text.empty() && text.front() == '-';
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_number(text, 2);
  if (!hours || !take(text, ":")) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const std::chrono::minutes offset(*hours * 60 + *minutes);
  return negative ? -offset : offset;
}

}  // namespace

Result<WallTime> from_rfc3339(std::string_view text) {
  const Error malformed = invalid(fmt::format("\"{}\" is not an RFC 3339 time", text.substr(0, 64)));
  const auto year = take_number(text, 4);
  if (!year || !take(text, "-")) return malformed;
  const auto month = take_number(text, 2);
  if (!month || !take(text, "-")) return malformed;
  const auto day = take_number(text, 2);
  if (!day || !take(text, "Tt ")) return malformed;
  const auto hour = take_number(text, 2);
  if (!hour || !take(text, ":")) return malformed;
  const auto minute = take_number(text, 2);
  if (!minute || !take(text, ":")) return malformed;
  const auto second = take_number(text, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return malformed;
  const auto fraction = take(text, ".,") ? take_fraction(text) : std::chrono::milliseconds(0);
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return malformed;

  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return malformed;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) + fraction - *offset;
}

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace postern
