#include "shared/async/within.hpp"

#include "shared/testing/loop.hpp"

namespace postern {
namespace {

using namespace std::chrono_literals;

TEST(Within, ReturnsWhatFinishesInTime) {
  testing::Loop loop;
  EXPECT_TRUE(loop.run(within(loop.clock(), 2s, loop.clock().sleep(1s))));
}

TEST(Within, EndsAnOperationAtItsDeadline) {
  testing::Loop loop;
  const auto start = loop.clock().now();
  const auto result = loop.run(within(loop.clock(), 2s, loop.clock().sleep(24h)));
  EXPECT_EQ(result.error().reason, Reason::timed_out);
  EXPECT_EQ(loop.clock().now() - start, 2s);
}

}  // namespace
}  // namespace postern
