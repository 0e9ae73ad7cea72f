#include "device/server/answer.hpp"

#include <charconv>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "shared/http/answer.hpp"

namespace postern::device {
namespace {

constexpr std::size_t kErrorBytesMax = 500;

/// The member `error` of an error body; else the status in words.
std::string text_of(const Answer& answer) {
  const auto value = http::parse_json(answer.body);
  if (value && value->is_object()) {
    const auto text = http::string_member(value->get_object(), "error");
    if (text && !text->empty()) return text->substr(0, kErrorBytesMax);
  }
  return std::string(http::reason_phrase(answer.status));
}

std::optional<int> number(std::string_view digits) {
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || value < 0) return std::nullopt;
  return value;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT", the only form that is still sent.
std::optional<WallTime> parse_http_date(std::string_view text) {
  constexpr std::string_view kForm = "xxx, xx xxx xxxx xx:xx:xx GMT";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const auto fits = [](char c, char form) { return form == 'x' || c == form; };
  if (!std::ranges::equal(text, kForm, fits)) return std::nullopt;
  const auto month = kMonths.find(text.substr(8, 3));
  const auto day = number(text.substr(5, 2));
  const auto year = number(text.substr(12, 4));
  const auto hour = number(text.substr(17, 2));
  const auto minute = number(text.substr(20, 2));
  const auto second = number(text.substr(23, 2));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  if (!day || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

}  // namespace

Error error_of(std::string_view what, const Answer& answer) {
  std::string text = fmt::format("{}: the server answered {}: {}", what, answer.status, text_of(answer));
  if (answer.status >= 500 || answer.status == 429) return transient(std::move(text));
  if (answer.status >= 300 && answer.status < 400) text += " (redirects are not followed)";
  return rejected(http::reason_of(answer.status), std::move(text));
}

std::optional<Duration> parse_retry_after(std::string_view field, WallTime now) {
  const bool is_number = !field.empty() && field.find_first_not_of("0123456789") == std::string_view::npos;
  Duration wait(0);
  if (is_number) {
    const auto seconds = number(field);
    wait = seconds ? std::min<Duration>(std::chrono::seconds(*seconds), kRetryAfterMax) : kRetryAfterMax;
  } else if (const auto date = parse_http_date(field)) {
    // Compared first: a date centuries ahead is more than a Duration holds.
    wait = *date > now + std::chrono::hours(24) ? kRetryAfterMax : Duration(*date - now);
  }
  if (wait <= Duration(0)) return std::nullopt;
  return wait;
}

}  // namespace postern::device
