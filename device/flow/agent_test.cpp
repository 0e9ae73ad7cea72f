#include "device/flow/agent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/flow/fake_world.hpp"
#include "device/store/file_lock.hpp"
#include "shared/async/task_scope.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeWorld;

class AgentTest : public ::testing::Test {
 protected:
  AgentTest()
      : machine_({.store = world_.store(),
                  .installer = world_,
                  .server = world_,
                  .scripts = scripts_,
                  .recorder = world_,
                  .clock = world_.loop().clock(),
                  .log = log_},
                 {}),
        agent_(world_.loop().executor(),
               {.store = world_.store(),
                .machine = machine_,
                .server = world_,
                .scripts = scripts_,
                .clock = world_.loop().clock(),
                .log = log_,
                .device_type = [] { return Result<std::string>("d"); },
                .inventory = [this] { return inventory(); }},
               {.update_lock = directory_.path() + "/lock"}),
        scope_(world_.loop().executor(), log_) {}
  ~AgentTest() override {
    scope_.stop(net::cancellation_type::terminal);
    EXPECT_TRUE(world_.loop().run(scope_.join(world_.loop().clock(), seconds(10))));
  }

  net::awaitable<Result<Inventory>> inventory() {
    ++inventories_;
    co_return Inventory{{"hostname", {"h"}}};
  }
  void start() {
    scope_.spawn(world_.loop().executor(), "agent", agent_.run());
    world_.loop().settle();
  }
  void advance(Duration by) { world_.loop().advance(by); }

  postern::testing::TemporaryDirectory directory_;
  FakeWorld world_;
  NoScripts scripts_;
  postern::testing::MemoryLog log_;
  Machine machine_;
  Agent agent_;
  TaskScope scope_;
  int inventories_ = 0;
};

const Deployment kDeployment{.id = "d1", .artifact_name = "new", .uri = "u"};

TEST_F(AgentTest, SendsTheInventoryThenPollsAtItsIntervals) {
  start();
  EXPECT_EQ(inventories_, 1);
  EXPECT_THAT(world_.polls, ElementsAre("old"));
  advance(minutes(30) - seconds(1));
  EXPECT_EQ(world_.polls.size(), 1U);
  advance(seconds(1));
  EXPECT_EQ(world_.polls.size(), 2U);
  EXPECT_EQ(inventories_, 1);
  advance(std::chrono::hours(8));
  EXPECT_EQ(inventories_, 2);
}

TEST_F(AgentTest, CarriesOutADeploymentAndTellsTheNewInventory) {
  world_.waiting = {kDeployment};
  start();
  EXPECT_EQ(world_.installed().name, "new");
  EXPECT_EQ(world_.statuses.back(), "success");
  EXPECT_EQ(inventories_, 2);
  advance(minutes(30));
  EXPECT_THAT(world_.polls, ElementsAre("old", "new"));
}

TEST_F(AgentTest, PollsAtOnceWhenItIsTold) {
  start();
  agent_.poll_now();
  world_.loop().settle();
  EXPECT_EQ(world_.polls.size(), 2U);
  agent_.send_inventory_now();
  world_.loop().settle();
  EXPECT_EQ(inventories_, 2);
}

TEST_F(AgentTest, BacksOffWhileTheServerIsAway) {
  world_.poll_failure = transient("away");
  start();
  advance(minutes(3));
  EXPECT_EQ(world_.polls.size(), 4U);
  advance(minutes(3));
  EXPECT_EQ(world_.polls.size(), 5U);
}

TEST_F(AgentTest, WaitsAsLongAsTheServerAsks) {
  world_.poll_failure = transient("429");
  world_.asked_wait = seconds(17);
  start();
  advance(seconds(16));
  EXPECT_EQ(world_.polls.size(), 1U);
  advance(seconds(1));
  EXPECT_EQ(world_.polls.size(), 2U);
}

TEST_F(AgentTest, WaitsWhileSomebodyUpdatesByHand) {
  world_.waiting = {kDeployment};
  const UpdateRecord update{.state = "Before_ArtifactCommit_Enter"};
  ASSERT_TRUE(world_.loop().run(world_.store().save(UpdateKind::standalone, update)));
  start();
  EXPECT_TRUE(world_.polls.empty());
  ASSERT_TRUE(world_.loop().run(world_.store().clear(UpdateKind::standalone)));
  advance(minutes(1));
  EXPECT_EQ(world_.installed().name, "new");
}

TEST_F(AgentTest, WaitsForTheLockOfWhoChangesTheDevice) {
  world_.waiting = {kDeployment};
  {
    const auto lock = FileLock::take(directory_.path() + "/lock");
    ASSERT_TRUE(lock);
    start();
    EXPECT_TRUE(world_.polls.empty());
  }
  advance(minutes(1));
  EXPECT_EQ(world_.installed().name, "new");
}

TEST_F(AgentTest, TakesUpWhatWasUnderWay) {
  const UpdateRecord update{
      .state = "update-install", .deployment_id = "d1", .payload_type = "fake", .artifact = {.name = "new"}};
  ASSERT_TRUE(world_.loop().run(world_.store().save(UpdateKind::managed, update)));
  start();
  EXPECT_THAT(world_.chain, Contains("Ro"));
  EXPECT_THAT(world_.statuses, ElementsAre("failure"));
  EXPECT_EQ(world_.installed().name, "old");
  EXPECT_EQ(world_.polls.size(), 1U);
}

TEST_F(AgentTest, LeavesAnUpdateAsItIsWhenItIsStopped) {
  world_.waiting = {kDeployment};
  world_.faults = {.status = "installing", .status_failures = 100};
  start();
  ASSERT_THAT(world_.chain, Contains("VRb"));
  scope_.stop(net::cancellation_type::terminal);
  ASSERT_TRUE(world_.loop().run(scope_.join(world_.loop().clock(), seconds(10))));
  EXPECT_THAT(world_.chain, ::testing::Not(Contains("Co")));
  EXPECT_THAT(world_.chain, ::testing::Not(Contains("Ro")));
  EXPECT_EQ((*world_.loop().run(world_.store().update(UpdateKind::managed)))->state, "after-reboot");
}

}  // namespace
}  // namespace postern::device
