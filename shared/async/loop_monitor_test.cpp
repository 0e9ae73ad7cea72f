#include "shared/async/loop_monitor.hpp"

#include "shared/testing/loop.hpp"

namespace postern {
namespace {

using namespace std::chrono_literals;

class LoopMonitorTest : public ::testing::Test {
 protected:
  LoopMonitorTest() {
    monitor_.start();
    loop_.settle();
  }
  ~LoopMonitorTest() override { EXPECT_TRUE(loop_.run(monitor_.stop())); }

  testing::Loop loop_;
  NullLog log_;
  LoopMonitor monitor_{loop_.clock(), log_, {loop_.executor(), loop_.executor()}};
};

TEST_F(LoopMonitorTest, LoopsThatRunAreAlive) {
  loop_.advance(60s);
  EXPECT_LE(monitor_.silence(), LoopMonitor::kInterval);
  EXPECT_TRUE(monitor_.is_alive());
}

TEST_F(LoopMonitorTest, ALoopThatDoesNotRunIsNoticed) {
  loop_.clock().set_now(loop_.clock().now() + 9s);  // time passes, and nothing runs
  EXPECT_TRUE(monitor_.is_alive());
  loop_.clock().set_now(loop_.clock().now() + 2s);
  EXPECT_FALSE(monitor_.is_alive());
  EXPECT_EQ(monitor_.silence(), 11s);
  loop_.settle();
  EXPECT_TRUE(monitor_.is_alive()) << "it runs again";
}

}  // namespace
}  // namespace postern
