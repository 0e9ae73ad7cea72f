#include "gateway/control/recent_log.hpp"

#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

class RecentLogTest : public ::testing::Test {
 protected:
  testing::FakeClock clock_;
  testing::MemoryLog lower_;
  RecentLog log_{lower_, clock_};
};

TEST_F(RecentLogTest, KeepsWarningsAndErrorsNewestFirstAndHandsEverythingOn) {
  log_.info("a.began");
  log_.warn("a.stalled", {{"error", "slow"}});
  log_.error("a.failed");
  const auto lines = log_.lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].text, "a.failed");
  EXPECT_EQ(lines[1].text, "a.stalled error=slow");
  EXPECT_EQ(lower_.lines().size(), 3U);
}

TEST_F(RecentLogTest, OneEventInARowTakesOneLine) {
  for (int i = 0; i < 5; ++i) log_.warn("a.stalled", {{"attempt", i}});
  ASSERT_EQ(log_.lines().size(), 1U);
  EXPECT_EQ(log_.lines()[0].count, 5U);
  EXPECT_EQ(log_.lines()[0].text, "a.stalled attempt=4");
}

TEST_F(RecentLogTest, IsBounded) {
  for (std::size_t i = 0; i < 3 * RecentLog::kLinesMax; ++i) {
    log_.warn(i % 2 == 0 ? "a.stalled" : "b.stalled", {{"error", std::string(10'000, 'x')}});
  }
  EXPECT_EQ(log_.lines().size(), RecentLog::kLinesMax);
  EXPECT_LE(log_.lines()[0].text.size(), RecentLog::kLineBytesMax + 3);
}

}  // namespace
}  // namespace postern::gateway
