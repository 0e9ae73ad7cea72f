#include "gateway/traffic/calendar.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMbit = 125'000;

/// 2026-01-05 is a Monday.
LocalTime at(int day_of_week, std::chrono::minutes time) {
  return LocalTime(std::chrono::local_days(std::chrono::year(2026) / 1 / 5) + std::chrono::days(day_of_week) +
                   time);
}

std::uint64_t rate(std::string_view text, int day_of_week, std::chrono::minutes time) {
  const auto calendar = Calendar::parse(text);
  EXPECT_TRUE(calendar) << text << ": " << calendar.error().what;
  return calendar->rate_at(at(day_of_week, time)).bytes_per_second;
}

std::string error_of(std::string_view text) {
  const auto calendar = Calendar::parse(text);
  return calendar ? "parsed" : calendar.error().what;
}

TEST(Calendar, IsUnlimitedWithoutRules) {
  EXPECT_EQ(rate("", 0, 0h), Rate::kUnlimited);
  EXPECT_EQ(rate("  ", 3, 12h), Rate::kUnlimited);
  EXPECT_TRUE(Calendar::parse("")->is_constant());
}

TEST(Calendar, FollowsDaysAndTimes) {
  constexpr std::string_view kText = "Mon-Fri 06:00-22:00 2 Mbit/s, else 20 Mbit/s";
  EXPECT_EQ(rate(kText, 0, 6h - 1min), 20 * kMbit);
  EXPECT_EQ(rate(kText, 0, 6h), 2 * kMbit);
  EXPECT_EQ(rate(kText, 4, 22h - 1min), 2 * kMbit);
  EXPECT_EQ(rate(kText, 4, 22h), 20 * kMbit);
  EXPECT_EQ(rate(kText, 5, 12h), 20 * kMbit);
}

TEST(Calendar, TakesListsOfDaysAndOfTimes) {
  constexpr std::string_view kText = "Mon,Wed , Fri-Sat 06:00-08:00,16:00-18:00 1MB/s,Sun off";
  for (const int day : {0, 2, 4, 5}) {
    EXPECT_EQ(rate(kText, day, 7h), 1'000'000U) << day;
    EXPECT_EQ(rate(kText, day, 17h), 1'000'000U) << day;
    EXPECT_EQ(rate(kText, day, 12h), Rate::kUnlimited) << day;
  }
  EXPECT_EQ(rate(kText, 1, 7h), Rate::kUnlimited);
  EXPECT_EQ(rate(kText, 6, 7h), 0U);
}

TEST(Calendar, WrapsOverMidnightAndOverTheWeek) {
  constexpr std::string_view kText = "Sun 22:00-06:00 1 Mbit/s, Sat-Mon 12:00-13:00 2 Mbit/s, else 3 Mbit/s";
  EXPECT_EQ(rate(kText, 6, 23h), 1 * kMbit);
  EXPECT_EQ(rate(kText, 0, 5h), 1 * kMbit);
  EXPECT_EQ(rate(kText, 0, 6h), 3 * kMbit);
  EXPECT_EQ(rate(kText, 6, 5h), 3 * kMbit);
  for (const int day : {5, 6, 0}) EXPECT_EQ(rate(kText, day, 12h), 2 * kMbit) << day;
  EXPECT_EQ(rate(kText, 1, 12h), 3 * kMbit);
}

TEST(Calendar, AppliesTheFirstRuleThatFits) {
  constexpr std::string_view kText = "12:00-13:00 unlimited, Mon 1 Mbit/s, 2 Mbit/s";
  EXPECT_EQ(rate(kText, 0, 12h), Rate::kUnlimited);
  EXPECT_EQ(rate(kText, 0, 13h), 1 * kMbit);
  EXPECT_EQ(rate(kText, 1, 13h), 2 * kMbit);
}

TEST(Calendar, KnowsItsUnits) {
  const auto constant = [](std::string_view text) { return rate(text, 0, 0h); };
  EXPECT_EQ(constant("8000 bit/s"), 1000U);
  EXPECT_EQ(constant("64kbit/s"), 8000U);
  EXPECT_EQ(constant("1.5 Mbit/s"), 187'500U);
  EXPECT_EQ(constant("1 Gbit/s"), 125'000'000U);
  EXPECT_EQ(constant("500 B/s"), 500U);
  EXPECT_EQ(constant("500 kB/s"), 500'000U);
  EXPECT_EQ(constant("1 MiB/s"), 1U << 20);
  EXPECT_EQ(constant("2 KiB/s"), 2048U);
  EXPECT_EQ(constant("1 GB/s"), 1'000'000'000U);
  EXPECT_EQ(constant("0"), 0U);
  EXPECT_EQ(constant("0 Mbit/s"), 0U);
  EXPECT_EQ(constant("off"), 0U);
}

TEST(Calendar, SaysWhereItIsWrong) {
  EXPECT_EQ(error_of("Mon-Fry 2 Mbit/s"),
            "column 5: expected a day: Mon, Tue, Wed, Thu, Fri, Sat or Sun, found \"Fry 2 Mbit/s\"");
  EXPECT_THAT(error_of("Mon 06:00-25:00 2 Mbit/s"),
              ::testing::StartsWith("column 11: expected a time of day"));
  EXPECT_THAT(error_of("Mon 06:00 2 Mbit/s"), ::testing::StartsWith("column 11: expected \"-\""));
  EXPECT_THAT(error_of("06:00-06:00 off"),
              ::testing::StartsWith("column 1: expected a time span that is not empty"));
  EXPECT_THAT(error_of("2 Mb/s"), ::testing::StartsWith("column 3: expected a unit"));
  EXPECT_THAT(error_of("2"), ::testing::StartsWith("column 2: expected a unit"));
  EXPECT_THAT(error_of("2.5.1 Mbit/s"), ::testing::StartsWith("column 1: expected a rate"));
  EXPECT_THAT(error_of("1 bit/s"), ::testing::StartsWith("column 1: expected a rate between"));
  EXPECT_THAT(error_of("9999999 Gbit/s"), ::testing::StartsWith("column 1: expected a rate between"));
  EXPECT_THAT(error_of("Mon"), ::testing::HasSubstr("found the end"));
  EXPECT_THAT(error_of("2 Mbit/s, Mon off"), ::testing::StartsWith("column 11: expected the end"));
  EXPECT_THAT(error_of("Mon off Tue off"), ::testing::StartsWith("column 9: expected a comma"));
  EXPECT_THAT(error_of("Mon off,"), ::testing::StartsWith("column 9: expected a rate"));
  EXPECT_THAT(error_of(std::string(5000, ' ')), ::testing::HasSubstr("longer than"));
}

TEST(Calendar, KnowsWhenItChangesNext) {
  const auto calendar = Calendar::parse("Mon-Fri 06:00-22:00 2 Mbit/s, else 20 Mbit/s").value();
  EXPECT_EQ(calendar.next_change(at(0, 5h)), at(0, 6h));
  EXPECT_EQ(calendar.next_change(at(0, 6h)), at(0, 22h));
  EXPECT_EQ(calendar.next_change(LocalTime(at(1, 6h) + 30s)), at(1, 22h));
  EXPECT_EQ(calendar.next_change(at(4, 22h)), at(7, 6h));
  EXPECT_EQ(calendar.next_change(at(6, 23h)), at(7, 6h));
  EXPECT_EQ(Calendar::parse("2 Mbit/s")->next_change(at(0, 0h)), std::nullopt);
}

TEST(Calendar, ChangesNothingAtTheTurnOfTheWeekWhenTheRateStays) {
  const auto calendar = Calendar::parse("Sun 12:00-24:00 off, Mon 00:00-12:00 off").value();
  EXPECT_EQ(calendar.next_change(at(6, 13h)), at(7, 12h));
  EXPECT_EQ(calendar.rate_at(at(7, 11h)), Rate{.bytes_per_second = 0});
}

TEST(Rate, IsWrittenAsItIsRead) {
  for (const std::string_view text : {"unlimited", "off", "2 Mbit/s", "1.5 Gbit/s", "64 kbit/s"}) {
    EXPECT_EQ(Calendar::parse(text)->rate_at(at(0, 0h)).to_string(), text);
  }
}

}  // namespace
}  // namespace postern::gateway
