#include "shared/rollout/windows.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace postern::rollout {
namespace {

constexpr std::uint32_t kDayMinutes = 24 * 60;
constexpr std::uint32_t kWeekMinutes = 7 * kDayMinutes;
constexpr std::array<std::string_view, 7> kDays{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(by);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::uint32_t> parse_day(std::string_view text) {
  const auto found = std::ranges::find(kDays, text);
  if (found == kDays.end()) return std::nullopt;
  return static_cast<std::uint32_t>(found - kDays.begin());
}

std::optional<std::uint32_t> parse_time(std::string_view text) {
  const auto digit = [&](std::size_t at) { return static_cast<std::uint32_t>(text[at] - '0'); };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const std::size_t at : {0U, 1U, 3U, 4U}) {
    if (digit(at) > 9) return std::nullopt;
  }
  const std::uint32_t minutes = digit(3) * 10 + digit(4);
  const std::uint32_t time = (digit(0) * 10 + digit(1)) * 60 + minutes;
  return minutes < 60 && time <= kDayMinutes ? std::optional(time) : std::nullopt;
}

/// Marks the days of "Mon-Wed,Fri"; false: not such a text.
bool parse_days(std::string_view text, std::array<bool, 7>& days) {
  for (const std::string_view part : split(text, ',')) {
    const auto ends = split(part, '-');
    const auto first = parse_day(ends.front());
    const auto last = parse_day(ends.back());
    if (ends.size() > 2 || !first || !last) return false;
    for (std::uint32_t day = *first;; day = (day + 1) % 7) {
      days[day] = true;
      if (day == *last) break;
    }
  }
  return true;
}

std::uint32_t minute_of_week(WallTime now, std::chrono::seconds utc_offset) {
  const auto local = now + utc_offset;
  const auto day = std::chrono::floor<std::chrono::days>(local);
  const auto minute = std::chrono::floor<std::chrono::minutes>(local - day).count();
  return (std::chrono::weekday(day).iso_encoding() - 1) * kDayMinutes + static_cast<std::uint32_t>(minute);
}

}  // namespace

Status Windows::add(std::string_view text, std::vector<Span>& spans) {
  const auto wrong = [&] {
    return invalid(fmt::format(
        R"(window "{}" is not like "Mon-Fri 22:00-05:00": days Mon to Sun, times HH:MM up to 24:00)",
        text.substr(0, 64)));
  };
  if (text.size() > kTextBytesMax) return wrong();
  std::array<bool, 7> days{};
  std::vector<std::pair<std::uint32_t, std::uint32_t>> times;  // begin and length
  const auto parts = split(text, ' ');
  const bool has_days = parse_days(parts.front(), days);
  if (parts.size() > (has_days ? 2U : 1U)) return wrong();
  if (!has_days) days.fill(true);
  if (has_days && parts.size() == 1) {
    times.emplace_back(0, kDayMinutes);
  } else {
    for (const std::string_view part : split(parts.back(), ',')) {
      const auto ends = split(part, '-');
      if (ends.size() != 2) return wrong();
      const auto begin = parse_time(ends.front());
      const auto end = parse_time(ends.back());
      if (!begin || !end || *begin == *end || *begin == kDayMinutes) return wrong();
      times.emplace_back(*begin, *end > *begin ? *end - *begin : *end + kDayMinutes - *begin);
    }
  }
  for (std::uint32_t day = 0; day < 7; ++day) {
    if (!days[day]) continue;
    for (const auto& [begin, length] : times) spans.push_back({day * kDayMinutes + begin, length});
  }
  return {};
}

Result<Windows> Windows::parse(const std::vector<std::string>& texts) {
  if (texts.size() > kWindowsMax) return invalid(fmt::format("more than {} windows", kWindowsMax));
  Windows windows;
  for (const std::string& text : texts) POSTERN_CHECK(add(text, windows.spans_));
  windows.texts_ = texts;
  return windows;
}

bool Windows::is_open(WallTime now, std::chrono::seconds utc_offset) const {
  const std::uint32_t minute = minute_of_week(now, utc_offset);
  return spans_.empty() || std::ranges::any_of(spans_, [minute](const Span& span) {
           return (minute + kWeekMinutes - span.begin) % kWeekMinutes < span.length;
         });
}

std::optional<WallTime> Windows::next_open(WallTime now, std::chrono::seconds utc_offset) const {
  if (is_open(now, utc_offset)) return std::nullopt;
  const std::uint32_t minute = minute_of_week(now, utc_offset);
  std::uint32_t wait = kWeekMinutes;
  for (const Span& span : spans_) wait = std::min(wait, (span.begin + kWeekMinutes - minute) % kWeekMinutes);
  return std::chrono::floor<std::chrono::minutes>(now + utc_offset) + std::chrono::minutes(wait) - utc_offset;
}

}  // namespace postern::rollout
