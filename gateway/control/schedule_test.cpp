#include "gateway/control/schedule.hpp"

#include <cstdlib>
#include <ctime>

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

class ScheduleTest : public ::testing::Test {
 protected:
  // The rules stand in the text, so that no zone file has to be there.
  ScheduleTest() { set_zone("CET-1CEST,M3.5.0,M10.5.0/3"); }
  ~ScheduleTest() override { set_zone("UTC"); }
  static void set_zone(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
  }
  static WallTime at(std::string_view text) { return from_rfc3339(text).value(); }
};

TEST_F(ScheduleTest, AMinuteOfTheDayIsReadAndShown) {
  EXPECT_EQ(parse_minute_of_day("06:30").value(), 390U);
  EXPECT_EQ(parse_minute_of_day("23:59").value(), 1439U);
  EXPECT_EQ(minute_of_day_text(390), "06:30");
  for (const char* text : {"", "6:30", "24:00", "06:60", "0630", "-1:30", "06:30:00", "aa:bb", "06:3x"}) {
    EXPECT_FALSE(parse_minute_of_day(text)) << text;
  }
}

TEST_F(ScheduleTest, TheNextDailyTimeIsLaterTodayOrTomorrow) {
  EXPECT_EQ(next_daily(at("2026-05-01T10:00:00Z"), 13 * 60), at("2026-05-01T11:00:00Z"));
  EXPECT_EQ(next_daily(at("2026-05-01T11:00:00Z"), 13 * 60), at("2026-05-02T11:00:00Z"));
  EXPECT_EQ(next_daily(at("2026-12-31T23:30:00Z"), 0), at("2027-01-01T23:00:00Z"));
}

TEST_F(ScheduleTest, DailyFollowsTheClockOnTheWallOverAChangeOfIt) {
  EXPECT_EQ(next_daily(at("2026-10-24T20:00:00Z"), 5 * 60), at("2026-10-25T04:00:00Z")) << "back to winter";
  EXPECT_EQ(next_daily(at("2026-03-28T20:00:00Z"), 5 * 60), at("2026-03-29T03:00:00Z")) << "on to summer";
}

TEST_F(ScheduleTest, AMinuteThatIsLeftOutStillComes) {
  const WallTime next = next_daily(at("2026-03-28T20:00:00Z"), 150);  // 02:30 is no time on that night
  EXPECT_GT(next, at("2026-03-28T20:00:00Z"));
  EXPECT_LE(next, at("2026-03-29T02:00:00Z"));
}

TEST_F(ScheduleTest, TimesAreReadInSeveralSpellings) {
  const WallTime now = at("2026-05-01T10:00:00Z");
  EXPECT_EQ(parse_time("22:30", now).value(), at("2026-05-01T20:30:00Z"));
  EXPECT_EQ(parse_time("2026-05-03 22:30", now).value(), at("2026-05-03T20:30:00Z"));
  EXPECT_EQ(parse_time("2026-05-03T22:30", now).value(), at("2026-05-03T20:30:00Z"));
  EXPECT_EQ(parse_time("2026-05-03T22:30:00Z", now).value(), at("2026-05-03T22:30:00Z"));
  for (const char* text : {"", "soon", "2026-13-01 22:30", "2026-02-30 22:30", "2026-05-01 25:00"}) {
    EXPECT_FALSE(parse_time(text, now)) << text;
  }
  EXPECT_EQ(local_text(at("2026-05-03T20:30:05Z")), "2026-05-03 22:30:05");
}

}  // namespace
}  // namespace postern::gateway
