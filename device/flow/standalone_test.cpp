#include "device/flow/standalone.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/flow/fake_world.hpp"

namespace postern::device {
namespace {

using testing::FakeWorld;

/// What a command did.
struct Done {
  int exit = 0;
  std::string said;   ///< lines, joined by " / "
  std::string calls;  ///< of the module
};

class StandaloneTest : public ::testing::Test {
 protected:
  StandaloneTest() { world_.reboot_answer = Reboot::none; }

  template <class Command>
  Done run(Command command) {
    std::vector<std::string> said;
    Standalone standalone({.store = world_.store(),
                           .installer = world_,
                           .scripts = scripts_,
                           .log = log_,
                           .say = [&](std::string_view line) { said.emplace_back(line); }});
    world_.chain.clear();
    Done done;
    try {
      const auto exit = world_.loop().run(command(standalone));
      done.exit = exit ? *exit : kExitError;
      if (!exit) error_ = exit.error().what;
    } catch (const testing::PowerCut&) {
      done.exit = -1;
    }
    done.said = fmt::format("{}", fmt::join(said, " / "));
    done.calls = fmt::format("{}", fmt::join(world_.chain, " "));
    return done;
  }
  Done install(bool with_reboot_status = false) {
    Standalone::Open open = []() -> net::awaitable<Result<std::unique_ptr<http::Body>>> {
      co_return std::make_unique<http::TextBody>("");
    };
    return run([&](Standalone& s) { return s.install(open, with_reboot_status); });
  }
  Done commit() {
    return run([](Standalone& s) { return s.commit(); });
  }
  Done roll_back() {
    return run([](Standalone& s) { return s.roll_back(); });
  }
  Done resume() {
    return run([](Standalone& s) { return s.resume(); });
  }
  std::string name() { return world_.installed().name; }
  void fail(std::set<std::string> steps) { world_.faults.failing = std::move(steps); }
  void kill(const std::string& step) { world_.faults.killing = {step}; }

  FakeWorld world_;
  NoScripts scripts_;
  NullLog log_;
  std::string error_;
};

constexpr const char* kPending =
    "Installing artifact... / Installed, but not committed. / Use 'commit' to update, or 'rollback' to roll "
    "back "
    "the update.";
constexpr const char* kReboot = " / At least one payload requested a reboot of the device it updated.";
constexpr const char* kNotModified = "Installing artifact... / Streaming failed. / System not modified.";

// The rows of device-client 8.3.

TEST_F(StandaloneTest, InstallsAndThenCommits) {
  const Done installed = install();
  EXPECT_EQ(installed.exit, 0);
  EXPECT_EQ(installed.said, kPending);
  EXPECT_EQ(installed.calls, "PF Dl In");
  EXPECT_EQ(name(), "old");
  const Done committed = commit();
  EXPECT_EQ(committed.exit, 0);
  EXPECT_EQ(committed.said, "Committed.");
  EXPECT_EQ(committed.calls, "Co Cl");
  EXPECT_EQ(name(), "new");
  for (const Done& again : {commit(), roll_back(), resume()}) {
    EXPECT_EQ(again.exit, 2);
    EXPECT_EQ(again.said, "No update in progress.");
  }
}

TEST_F(StandaloneTest, InstallsAndThenRollsBack) {
  install();
  const Done undone = roll_back();
  EXPECT_EQ(undone.exit, 0);
  EXPECT_EQ(undone.said, "Rolled back.");
  EXPECT_EQ(undone.calls, "Ro Fa Cl");
  EXPECT_EQ(name(), "old");
}

TEST_F(StandaloneTest, TellsThatARebootIsNeeded) {
  for (const Reboot reboot : {Reboot::custom, Reboot::automatic}) {
    world_.reboot_answer = reboot;
    const Done with_status = install(true);
    EXPECT_EQ(with_status.exit, 4);
    EXPECT_EQ(with_status.said, std::string(kPending) + kReboot);
    roll_back();
    EXPECT_EQ(install(false).exit, 0);
    roll_back();
  }
}

TEST_F(StandaloneTest, CommitsAtOnceWhatCannotBeUndone) {
  world_.rollback_answer = false;
  const Done installed = install();
  EXPECT_EQ(installed.exit, 0);
  EXPECT_EQ(
      installed.said,
      "Installing artifact... / Update Module doesn't support rollback. Committing immediately. / Installed "
      "and committed.");
  EXPECT_EQ(installed.calls, "PF Dl In Co Cl");
  EXPECT_EQ(name(), "new");
}

TEST_F(StandaloneTest, RefusesASecondInstallWhileOneIsPending) {
  install();
  const Done second = install();
  EXPECT_EQ(second.exit, 1);
  EXPECT_EQ(second.calls, "");
  EXPECT_EQ(error_, "Update already in progress. Please commit or roll back first");
  EXPECT_EQ(commit().exit, 0);
}

TEST_F(StandaloneTest, RefusesWhileTheServerUpdatesTheDevice) {
  const UpdateRecord update{.state = "update-install", .deployment_id = "d"};
  ASSERT_TRUE(world_.loop().run(world_.store().save(UpdateKind::managed, update)));
  EXPECT_EQ(install().exit, 1);
}

TEST_F(StandaloneTest, UndoesWhatGivesAWrongAnswerAboutReboots) {
  fail({"NeedsArtifactReboot"});
  const Done installed = install();
  EXPECT_EQ(installed.exit, 1);
  EXPECT_EQ(installed.said, "Installing artifact... / Rolled back.");
  EXPECT_EQ(installed.calls, "PF Dl In Ro Fa Cl");
  EXPECT_EQ(name(), "old");
}

TEST_F(StandaloneTest, IsInconsistentWhenNobodySaysWhetherItCanBeUndone) {
  fail({"SupportsRollback"});
  world_.faults.every_time = true;
  const Done installed = install();
  EXPECT_EQ(installed.exit, 1);
  EXPECT_EQ(installed.said,
            "Installing artifact... / Rollback failed. System may be in an inconsistent state.");
  EXPECT_EQ(installed.calls, "PF Dl In Fa Cl");
  EXPECT_EQ(name(), "new_INCONSISTENT");
}

TEST_F(StandaloneTest, LeavesTheSystemAloneWhenTheDownloadFails) {
  fail({"PF"});
  EXPECT_EQ(install().calls, "PF Cl");
  fail({"Dl"});
  const Done failed = install();
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.said, kNotModified);
  EXPECT_EQ(failed.calls, "PF Dl Cl");
  world_.is_misfit = true;
  const Done misfit = install();
  EXPECT_EQ(misfit.said, kNotModified);
  EXPECT_EQ(misfit.calls, "");
  EXPECT_EQ(name(), "old");
  EXPECT_EQ(commit().exit, 2);
}

TEST_F(StandaloneTest, UndoesAFailedInstallation) {
  fail({"In"});
  const Done failed = install();
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.said, "Installing artifact... / Installation failed. / Rolled back.");
  EXPECT_EQ(failed.calls, "PF Dl In Ro Fa Cl");
  EXPECT_EQ(name(), "old");
}

TEST_F(StandaloneTest, SaysWhenAFailedInstallationCannotBeUndone) {
  world_.rollback_answer = false;
  fail({"In"});
  const Done failed = install();
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.said,
            "Installing artifact... / Installation failed. / Update Module does not support rollback. System "
            "may be "
            "in an inconsistent state.");
  EXPECT_EQ(failed.calls, "PF Dl In Fa Cl");
  EXPECT_EQ(name(), "new_INCONSISTENT");
}

TEST_F(StandaloneTest, SaysWhenTheRollbackFails) {
  for (const std::set<std::string>& steps : {std::set<std::string>{"In", "Ro"}, {"In", "Fa"}}) {
    fail(steps);
    const Done failed = install();
    EXPECT_EQ(failed.exit, 1);
    EXPECT_EQ(
        failed.said,
        "Installing artifact... / Installation failed. / Rollback failed. System may be in an inconsistent "
        "state.");
    EXPECT_EQ(failed.calls, "PF Dl In Ro Fa Cl");
    EXPECT_EQ(name(), "new_INCONSISTENT");
  }
}

TEST_F(StandaloneTest, UndoesAFailedCommit) {
  install();
  fail({"Co"});
  const Done failed = commit();
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.said, "Committing failed. / Rolled back.");
  EXPECT_EQ(failed.calls, "Co Ro Fa Cl");
  EXPECT_EQ(name(), "old");
}

TEST_F(StandaloneTest, AFailedCleanupAfterTheCommitIsToldAndMarked) {
  install();
  fail({"Cl"});
  const Done failed = commit();
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.said, "Committed. / Cleanup failed.");
  EXPECT_EQ(name(), "new_INCONSISTENT");
}

TEST_F(StandaloneTest, AFailedRollbackCommandIsToldAndMarked) {
  install();
  fail({"Ro"});
  const Done failed = roll_back();
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.said, "Rollback failed. System may be in an inconsistent state.");
  EXPECT_EQ(failed.calls, "Ro Fa Cl");
  EXPECT_EQ(name(), "new_INCONSISTENT");
}

TEST_F(StandaloneTest, CommitsAnEmptyPayloadAtOnce) {
  world_.has_empty_payload = true;
  const Done installed = install();
  EXPECT_EQ(installed.exit, 0);
  EXPECT_EQ(installed.said,
            "Installing artifact... / Artifact with empty payload. Committing immediately. / Installed and "
            "committed.");
  EXPECT_EQ(installed.calls, "");
  EXPECT_EQ(name(), "new");
}

// The rows of device-client 8.4.

TEST_F(StandaloneTest, LeavesNoTraceWhenKilledInTheDownload) {
  kill("Dl");
  EXPECT_EQ(install().exit, -1);
  EXPECT_EQ(resume().exit, 2);
  EXPECT_EQ(install().exit, 0);
}

TEST_F(StandaloneTest, UndoesAnInstallationThatWasKilled) {
  kill("In");
  EXPECT_EQ(install().exit, -1);
  EXPECT_EQ(commit().exit, 1);
  const Done undone = resume();
  EXPECT_EQ(undone.exit, 0);
  EXPECT_EQ(undone.said, "Rolled back.");
  EXPECT_EQ(undone.calls, "Ro Fa Cl");
}

TEST_F(StandaloneTest, CommitsWhatWasKilledWhileItWasAsked) {
  kill("SupportsRollback");
  EXPECT_EQ(install().exit, -1);
  EXPECT_EQ(resume().said, "Committed.");
  EXPECT_EQ(name(), "new");
}

TEST_F(StandaloneTest, UndoesACommitThatWasKilled) {
  install();
  kill("Co");
  EXPECT_EQ(commit().exit, -1);
  const Done undone = commit();
  EXPECT_EQ(undone.exit, 0);
  EXPECT_EQ(undone.said, "Rolled back.");
  EXPECT_EQ(undone.calls, "Ro Fa Cl");
  EXPECT_EQ(name(), "old");
}

TEST_F(StandaloneTest, CleansUpWhatWasKilledInTheCleanup) {
  install();
  kill("Cl");
  EXPECT_EQ(commit().exit, -1);
  EXPECT_EQ(roll_back().exit, 1);
  const Done cleaned = resume();
  EXPECT_EQ(cleaned.said, "Cleaned up.");
  EXPECT_EQ(cleaned.calls, "Cl");
  EXPECT_EQ(name(), "new");
}

TEST_F(StandaloneTest, RepeatsARollbackThatWasKilled) {
  for (const char* step : {"Ro", "Fa", "Cl"}) {
    install();
    kill(step);
    EXPECT_EQ(roll_back().exit, -1);
    const Done undone = resume();
    EXPECT_EQ(undone.exit, 0) << step;
    EXPECT_EQ(undone.said, "Rolled back.") << step;
    EXPECT_TRUE(std::string("Ro Fa Cl").ends_with(undone.calls)) << undone.calls;
    EXPECT_EQ(name(), "old");
    EXPECT_EQ(resume().exit, 2);
  }
}

}  // namespace
}  // namespace postern::device
