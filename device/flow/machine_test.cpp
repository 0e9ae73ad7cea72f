#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/flow/fake_world.hpp"
#include "device/flow/machine_cases.hpp"

namespace postern::device {
namespace {

using testing::FakeWorld;
using testing::kMachineCases;
using testing::MachineCase;

/// Writes "(a b)x3" as "a b a b a b".
std::string expand(const std::string& chain) {
  const std::size_t open = chain.find('(');
  if (open == std::string::npos) return chain;
  const std::size_t close = chain.find(")x", open);
  std::size_t used = 0;
  const int times = std::stoi(chain.substr(close + 2), &used);
  std::string expanded = chain.substr(0, open);
  for (int i = 0; i < times; ++i) expanded += (i == 0 ? "" : " ") + chain.substr(open + 1, close - open - 1);
  return expanded + chain.substr(close + 2 + used);
}

class MachineConformance : public ::testing::TestWithParam<MachineCase> {};

TEST_P(MachineConformance, DoesWhatThePeerDoes) {
  const MachineCase& c = GetParam();
  FakeWorld world;
  world.faults = {.failing = {c.failing.begin(), c.failing.end()},
                  .killing = {c.killing.begin(), c.killing.end()},
                  .every_time = c.every_time,
                  .status = c.status,
                  .status_failures = c.status_failures,
                  .is_aborted = c.is_aborted};
  world.provide_file_sizes = c.file_sizes;
  world.reboot_answer = c.reboot;
  world.rollback_answer = c.rollback;
  world.is_misfit = c.is_misfit;
  world.has_empty_payload = c.is_empty;
  constexpr std::uint64_t kManyWrites = 60;
  if (c.writes >= 0) {
    for (std::uint64_t i = 1; i < kManyWrites; ++i) {
      world.database().fail_commit(static_cast<std::uint64_t>(c.writes) + i, CommitFault::exhausted);
    }
  }
  world.deploy();
  EXPECT_EQ(fmt::format("{}", fmt::join(world.chain, " ")), expand(c.chain));
  EXPECT_EQ(fmt::format("{}", fmt::join(world.statuses, " ")), c.statuses);
  EXPECT_EQ(world.installed().name, c.outcome);
  EXPECT_EQ(world.logs > 0, c.statuses.ends_with("failure"));
  if (c.writes < 0) EXPECT_FALSE(*world.loop().run(world.store().update(UpdateKind::managed)));
}

INSTANTIATE_TEST_SUITE_P(Cases, MachineConformance, ::testing::ValuesIn(kMachineCases),
                         [](const auto& test) { return test.param.name; });

TEST(Machine, TakesTheProvidesOfWhatItInstalled) {
  FakeWorld world;
  world.deploy();
  EXPECT_EQ(world.installed().provides, (Provides{{"version", "2"}}));
}

TEST(Machine, KeepsTheProvidesOfWhatItCouldNotReplace) {
  FakeWorld world;
  world.rollback_answer = false;
  world.faults.failing = {"In"};
  world.deploy();
  EXPECT_EQ(world.installed().name, "new_INCONSISTENT");
  EXPECT_EQ(world.installed().provides, (Provides{{"version", "1"}}));
}

TEST(Machine, RebootsTheMachineWhereTheModuleAsksForIt) {
  FakeWorld world;
  world.reboot_answer = Reboot::automatic;
  world.deploy();
  EXPECT_THAT(world.chain, ::testing::Contains("reboot"));
  EXPECT_THAT(world.chain, ::testing::Not(::testing::Contains("Rb")));
  EXPECT_EQ(world.installed().name, "new");
  EXPECT_EQ(world.statuses.back(), "success");
}

TEST(Machine, RollsBackWhenTheMachineDoesNotReboot) {
  FakeWorld world;
  world.reboot_answer = Reboot::automatic;
  world.faults.failing = {"reboot"};
  world.deploy();
  EXPECT_EQ(world.installed().name, "old");
  EXPECT_EQ(world.statuses.back(), "failure");
}

TEST(Machine, KeepsTryingToSendTheLogButNotOneThatIsTooLarge) {
  FakeWorld world;
  world.faults.failing = {"In"};
  world.log_failure = transient("away");
  world.deploy();
  EXPECT_EQ(world.logs, 13);
  world.logs = 0;
  world.faults.failing = {"In"};
  world.log_failure = rejected(Reason::too_large, "too large");
  world.deploy();
  EXPECT_EQ(world.logs, 1);
}

TEST(Machine, AnAbortAfterTheCommitChangesNothing) {
  FakeWorld world;
  world.faults = {.status = "success", .status_failures = 1, .is_aborted = true};
  world.deploy();
  EXPECT_EQ(world.installed().name, "new");
  EXPECT_EQ(world.statuses.back(), "installing");
}

/// Where Mender's client reports a failure: the outcome is in our record.
TEST(Machine, ReportsSuccessWhenThePowerWasCutInTheCleanupAfterACommit) {
  FakeWorld world;
  world.faults.killing = {"Cl"};
  world.deploy();
  EXPECT_EQ(world.installed().name, "new");
  EXPECT_EQ(world.statuses.back(), "success");
}

/// Cuts the power before and after every single effect, with what a module does to the disk half done at the
/// first. Claims: the disk is old or new and never between; name and status tell which; and the next update
/// works.
TEST(Machine, IsOldOrNewWhereverThePowerIsCut) {
  for (const bool fails : {false, true}) {
    bool was_cut = true;
    int cuts = 0;
    for (int cut = 0; was_cut; ++cut) {
      SCOPED_TRACE(fmt::format("install {}, power cut at effect {}", fails ? "fails" : "works", cut));
      FakeWorld world;
      std::string disk = "old";
      was_cut = false;
      int left = cut;
      const auto draw = [&] {
        if (left-- != 0) return;
        was_cut = true;
        throw testing::PowerCut();
      };
      world.before_each = draw;
      world.after_each = [&](const std::string& name) {
        if (name == "In") {
          disk = "between";
          draw();
          disk = "new";
        }
        if (name == "Ro") {
          disk = "between";
          draw();
          disk = "old";
        }
        draw();
      };
      if (fails) world.faults.failing = {"VRb"};
      world.deploy();
      const std::string name = world.installed().name;
      EXPECT_EQ(name, disk);
      EXPECT_EQ(world.statuses.back(), disk == "new" ? "success" : "failure");
      world.before_each = {};
      world.after_each = {};
      world.faults.failing.clear();
      world.deploy();
      EXPECT_EQ(world.installed().name, "new");
      EXPECT_EQ(world.statuses.back(), "success");
      cuts += was_cut ? 1 : 0;
    }
    EXPECT_GT(cuts, 40);
  }
}

/// The same with the cut in each commit of the database.
TEST(Machine, IsOldOrNewWhicheverCommitIsCut) {
  for (const CommitFault fault : {CommitFault::crash_before, CommitFault::crash_after}) {
    for (std::uint64_t commit = 1; commit < 12; ++commit) {
      SCOPED_TRACE(
          fmt::format("commit {} cut {}", commit, fault == CommitFault::crash_before ? "before" : "after"));
      FakeWorld world;
      std::string disk = "old";
      world.after_each = [&](const std::string& name) {
        if (name == "In") disk = "new";
        if (name == "Ro") disk = "old";
      };
      world.database().fail_commit(commit, fault);
      world.deploy();
      EXPECT_EQ(world.installed().name, disk);
      EXPECT_EQ(world.statuses.back(), disk == "new" ? "success" : "failure");
    }
  }
}

}  // namespace
}  // namespace postern::device
