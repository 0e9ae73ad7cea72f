#include "gateway/traffic/calendar.hpp"

#include <charconv>
#include <ctime>
#include <filesystem>

namespace postern::gateway {
namespace {

constexpr std::uint32_t kDayMinutes = 24 * 60;
constexpr std::uint32_t kWeekMinutes = 7 * kDayMinutes;
constexpr std::array<std::string_view, 7> kDays{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::string_view kRateExpected = "a rate, as \"2 Mbit/s\", \"unlimited\" or \"off\"";

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array kUnits{
    Unit{"bit/s", 0.125},   Unit{"kbit/s", 125},    Unit{"Mbit/s", 125e3},  Unit{"Gbit/s", 125e6},
    Unit{"B/s", 1},         Unit{"kB/s", 1e3},      Unit{"MB/s", 1e6},      Unit{"GB/s", 1e9},
    Unit{"KiB/s", 1 << 10}, Unit{"MiB/s", 1 << 20}, Unit{"GiB/s", 1 << 30},
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::uint32_t minute_of_week(LocalTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const auto minute = std::chrono::floor<std::chrono::minutes>(time - day).count();
  return (std::chrono::weekday(day).iso_encoding() - 1) * kDayMinutes + static_cast<std::uint32_t>(minute);
}

struct Span {
  std::uint32_t begin;  ///< minutes of the day
  std::uint32_t end;    ///< may be on the next day
};

struct Rule {
  std::array<bool, 7> days{};
  std::vector<Span> times;
  Rate rate;
  bool is_for_the_rest = false;
};

/// Reads one text from its front.
class CalendarParser {
 public:
  explicit CalendarParser(std::string_view text) : text_(text) {}

  Result<std::vector<Rule>> parse() {
    std::vector<Rule> rules;
    for (;;) {
      skip_blanks();
      const std::size_t begin = at_;
      POSTERN_TRY(Rule rule, parse_rule());
      if (!rules.empty() && rules.back().is_for_the_rest) {
        at_ = begin;
        return expected("the end: the rule before applies to all the rest");
      }
      rules.push_back(std::move(rule));
      skip_blanks();
      if (at_ == text_.size()) return rules;
      if (!take(",")) return expected("a comma before the next rule");
    }
  }

 private:
  Error expected(std::string_view what) const {
    const std::string_view rest = text_.substr(at_, 16);
    return invalid(rest.empty() ? fmt::format("column {}: expected {}, found the end", at_ + 1, what)
                                : fmt::format("column {}: expected {}, found \"{}\"", at_ + 1, what, rest));
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  bool take(std::string_view token) {
    skip_blanks();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  /// Letters and slashes, without taking them.
  std::string_view word() const {
    std::size_t end = at_;
    while (end < text_.size() && (is_letter(text_[end]) || text_[end] == '/')) ++end;
    return text_.substr(at_, end - at_);
  }

  bool take_word(std::string_view wanted) {
    skip_blanks();
    if (word() != wanted) return false;
    at_ += wanted.size();
    return true;
  }

  std::optional<std::size_t> take_day() {
    for (std::size_t day = 0; day < kDays.size(); ++day) {
      if (take_word(kDays[day])) return day;
    }
    return std::nullopt;
  }

  Result<Rule> parse_rule() {
    Rule rule;
    if (take_word("else")) {
      rule.is_for_the_rest = true;
      POSTERN_TRY(rule.rate, parse_rate());
      return rule;
    }
    POSTERN_TRY(const bool has_days, parse_days(rule));
    POSTERN_CHECK(parse_times(rule));
    rule.is_for_the_rest = !has_days && rule.times.empty();
    if (!has_days) rule.days.fill(true);
    if (rule.times.empty()) rule.times.push_back({.begin = 0, .end = kDayMinutes});
    POSTERN_TRY(rule.rate, parse_rate());
    return rule;
  }

  /// Whether there are any.
  Result<bool> parse_days(Rule& rule) {
    auto first = take_day();
    if (!first) return false;
    for (;;) {
      std::size_t last = *first;
      if (take("-")) {
        const auto day = take_day();
        if (!day) return expected("a day: Mon, Tue, Wed, Thu, Fri, Sat or Sun");
        last = *day;
      }
      for (std::size_t day = *first;; day = (day + 1) % rule.days.size()) {
        rule.days[day] = true;
        if (day == last) break;
      }
      const std::size_t behind = at_;
      if (!take(",")) return true;
      first = take_day();
      if (!first) {
        at_ = behind;
        return expected("times or a rate for these days");
      }
    }
  }

  bool is_at_time() {
    skip_blanks();
    std::size_t end = at_;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    return end > at_ && end < text_.size() && text_[end] == ':';
  }

  Status parse_times(Rule& rule) {
    while (is_at_time()) {
      const std::size_t begin = at_;
      Span span{};
      POSTERN_TRY(span.begin, parse_time());
      if (!take("-")) return expected("\"-\" and the end of the time span");
      skip_blanks();
      POSTERN_TRY(span.end, parse_time());
      if (span.begin == span.end || span.begin == kDayMinutes) {
        at_ = begin;
        return expected("a time span that is not empty (a whole day is 00:00-24:00)");
      }
      if (span.end < span.begin) span.end += kDayMinutes;
      rule.times.push_back(span);
      const std::size_t behind = at_;
      if (!take(",")) return {};
      if (!is_at_time()) {
        at_ = behind;
        return expected("a rate for these times");
      }
    }
    return {};
  }

  Result<std::uint32_t> parse_time() {
    const auto two_digits = [&](std::size_t at) -> std::optional<std::uint32_t> {
      if (at + 2 > text_.size() || !is_digit(text_[at]) || !is_digit(text_[at + 1])) return std::nullopt;
      return static_cast<std::uint32_t>((text_[at] - '0') * 10 + (text_[at + 1] - '0'));
    };
    const auto hours = two_digits(at_);
    const auto minutes = two_digits(at_ + 3);
    if (!hours || !minutes || text_[at_ + 2] != ':' || *minutes > 59 ||
        *hours * 60 + *minutes > kDayMinutes) {
      return expected("a time of day, HH:MM from 00:00 to 24:00");
    }
    at_ += 5;
    return *hours * 60 + *minutes;
  }

  Result<Rate> parse_rate() {
    if (take_word("unlimited")) return Rate{};
    if (take_word("off")) return Rate{.bytes_per_second = 0};
    skip_blanks();
    const std::size_t begin = at_;
    std::size_t end = at_;
    while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '.')) ++end;
    double number = 0;
    const auto [stopped, error] =
        std::from_chars(text_.data() + at_, text_.data() + end, number, std::chars_format::fixed);
    if (begin == end || error != std::errc{} || stopped != text_.data() + end) return expected(kRateExpected);
    at_ = end;
    skip_blanks();
    const auto unit = std::ranges::find(kUnits, word(), &Unit::name);
    if (unit != kUnits.end()) {
      at_ += unit->name.size();
    } else if (number != 0 || !word().empty()) {
      return expected("a unit: bit/s, kbit/s, Mbit/s, Gbit/s, B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s or GiB/s");
    }
    if (number == 0) return Rate{.bytes_per_second = 0};
    const double bytes = number * unit->bytes;
    if (bytes < static_cast<double>(Calendar::kRateMin) || bytes > static_cast<double>(Calendar::kRateMax)) {
      at_ = begin;
      return expected("a rate between 1 kbit/s and 1 TiB/s");
    }
    return Rate{.bytes_per_second = static_cast<std::uint64_t>(bytes)};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// Lays a rule over the minutes that none before it has claimed.
void apply(const Rule& rule, std::vector<std::optional<Rate>>& minutes) {
  if (rule.is_for_the_rest) {
    for (auto& minute : minutes) minute = minute.value_or(rule.rate);
    return;
  }
  for (std::uint32_t day = 0; day < 7; ++day) {
    if (!rule.days[day]) continue;
    for (const Span& span : rule.times) {
      for (std::uint32_t minute = span.begin; minute < span.end; ++minute) {
        auto& slot = minutes[(day * kDayMinutes + minute) % kWeekMinutes];
        if (!slot) slot = rule.rate;
      }
    }
  }
}

}  // namespace

std::string Rate::to_string() const {
  if (is_unlimited()) return "unlimited";
  if (is_closed()) return "off";
  const double bits = static_cast<double>(bytes_per_second) * 8;
  if (bits >= 1e9) return fmt::format("{:g} Gbit/s", bits / 1e9);
  if (bits >= 1e6) return fmt::format("{:g} Mbit/s", bits / 1e6);
  return fmt::format("{:g} kbit/s", bits / 1e3);
}

LocalTime to_local_time(WallTime time) {
  const std::time_t seconds = unix_seconds(time);
  std::tm local{};
  const bool is_known = localtime_r(&seconds, &local) != nullptr;
  return LocalTime(time.time_since_epoch() + std::chrono::seconds(is_known ? local.tm_gmtoff : 0));
}

Status use_time_zone(const std::string& name) {
  const std::filesystem::path database = "/usr/share/zoneinfo";
  std::error_code error;
  const bool is_plain = !name.starts_with('/') && name.find("..") == std::string::npos;
  if (!is_plain || !std::filesystem::is_regular_file(database / name, error)) {
    return invalid(fmt::format("there is no time zone \"{}\" in {}", name, database.string()));
  }
  if (setenv("TZ", name.c_str(), 1) != 0) return from_errno(errno, "set the time zone");
  tzset();
  return {};
}

Result<Calendar> Calendar::parse(std::string_view text) {
  if (text.size() > kTextBytesMax) return invalid(fmt::format("is longer than {} bytes", kTextBytesMax));
  if (text.find_first_not_of(" \t") == std::string_view::npos) return Calendar();
  POSTERN_TRY(const std::vector<Rule> rules, CalendarParser(text).parse());
  std::vector<std::optional<Rate>> minutes(kWeekMinutes);
  for (const Rule& rule : rules) apply(rule, minutes);
  Calendar calendar;
  calendar.changes_.clear();
  for (std::uint32_t minute = 0; minute < kWeekMinutes; ++minute) {
    const Rate rate = minutes[minute].value_or(Rate{});
    if (minute == 0 || rate != calendar.changes_.back().rate) {
      calendar.changes_.push_back({.minute = minute, .rate = rate});
    }
  }
  return calendar;
}

std::size_t Calendar::index_at(LocalTime time) const {
  const auto next = std::ranges::upper_bound(changes_, minute_of_week(time), {}, &Change::minute);
  return static_cast<std::size_t>(next - changes_.begin()) - 1;
}

Rate Calendar::rate_at(LocalTime time) const {
  return changes_[index_at(time)].rate;
}

std::optional<LocalTime> Calendar::next_change(LocalTime time) const {
  const std::size_t now = index_at(time);
  for (std::size_t step = 1; step < changes_.size(); ++step) {
    const Change& change = changes_[(now + step) % changes_.size()];
    if (change.rate == changes_[now].rate) continue;
    const std::uint32_t minutes = (change.minute + kWeekMinutes - minute_of_week(time)) % kWeekMinutes;
    return LocalTime(std::chrono::floor<std::chrono::minutes>(time) + std::chrono::minutes(minutes));
  }
  return std::nullopt;
}

}  // namespace postern::gateway
