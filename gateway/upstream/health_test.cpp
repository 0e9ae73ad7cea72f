#include "gateway/upstream/health.hpp"

#include "shared/testing/loop.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class HealthTest : public ::testing::Test {
 protected:
  testing::Loop loop_;
  Health health_{3, loop_.clock(), 5min};
};

TEST_F(HealthTest, BeginsWithTheFirstAndKeepsTheirOrder) {
  EXPECT_THAT(health_.order(), ElementsAre(0, 1, 2));
  EXPECT_EQ(health_.states()[0].standing, Standing::unknown);
}

TEST_F(HealthTest, StaysWithTheOneThatServedWhenAnotherFailed) {
  EXPECT_TRUE(health_.note_down(0));
  EXPECT_TRUE(health_.note_up(1));
  EXPECT_THAT(health_.order(), ElementsAre(1, 2, 0));
  EXPECT_FALSE(health_.note_up(1)) << "no news";
  EXPECT_TRUE(health_.states()[1].is_current);
}

TEST_F(HealthTest, TriesTheFirstAgainAfterAWhileWithOneRequest) {
  health_.note_down(0);
  health_.note_up(1);
  loop_.advance(4min);
  EXPECT_THAT(health_.order(), ElementsAre(1, 2, 0));
  loop_.advance(1min);
  EXPECT_THAT(health_.order(), ElementsAre(0, 1, 2));
  EXPECT_THAT(health_.order(), ElementsAre(1, 2, 0)) << "one request is enough to find out";
  health_.note_up(0);
  EXPECT_THAT(health_.order(), ElementsAre(0, 1, 2));
}

TEST_F(HealthTest, ALateAnswerDoesNotBringItBack) {
  health_.note_down(0);
  health_.note_up(1);
  health_.note_up(0);
  health_.note_up(1);
  EXPECT_THAT(health_.order(), ElementsAre(0, 1, 2));
}

TEST_F(HealthTest, TriesAllWhenAllAreDown) {
  for (std::size_t i = 0; i < 3; ++i) health_.note_down(i);
  EXPECT_EQ(health_.order().size(), 3U);
  health_.note_up(2);
  EXPECT_EQ(health_.order().front(), 2U);
}

TEST_F(HealthTest, RemembersSinceWhenAndHowOften) {
  health_.note_down(0);
  const WallTime since = loop_.clock().wall();
  loop_.advance(1min);
  health_.note_down(0);
  EXPECT_EQ(health_.states()[0].since, since);
  EXPECT_EQ(health_.states()[0].failures, 2U);
}

}  // namespace
}  // namespace postern::gateway
