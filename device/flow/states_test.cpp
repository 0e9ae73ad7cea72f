#include "device/flow/states.hpp"

#include <gtest/gtest.h>

#include <set>

namespace postern::device {
namespace {

TEST(States, EveryWayLeadsToTheEnd) {
  for (const Row& first : all_rows()) {
    std::set<State> seen;
    std::vector<State> open{first.at};
    while (!open.empty()) {
      const State state = open.back();
      open.pop_back();
      if (!seen.insert(state).second || state == State::end) continue;
      for (const Outcome outcome : {Outcome::ok, Outcome::failed})
        open.push_back(next_state(row_of(state), outcome));
    }
    EXPECT_TRUE(seen.contains(State::end)) << to_string(first.at);
  }
}

/// From the first change to the commit, a failure leads to the question whether it can be undone.
TEST(States, AFailureBeforeTheCommitIsUndone) {
  for (const State state : {State::install_enter, State::install, State::install_leave, State::query_reboot,
                            State::reboot_enter, State::reboot, State::verify_reboot, State::reboot_leave,
                            State::report_before_commit, State::commit_enter, State::commit}) {
    State next = next_state(row_of(state), Outcome::failed);
    if (row_of(next).point == ScriptPoint::error) next = next_state(row_of(next), Outcome::ok);
    EXPECT_EQ(next, State::query_rollback) << to_string(state);
  }
}

TEST(States, NothingIsUndoneAfterTheCommit) {
  for (const State state : {State::after_commit, State::commit_leave, State::commit_leave_error}) {
    State next = next_state(row_of(state), Outcome::failed);
    if (next == State::commit_leave_error) next = next_state(row_of(next), Outcome::failed);
    EXPECT_EQ(next, State::save_provides) << to_string(state);
  }
}

TEST(States, WhatIsNotKnownIsUndone) {
  EXPECT_EQ(recovery_of("a-later-version").resume_at, State::query_rollback);
  EXPECT_EQ(recovery_of("a-later-version").tracking, Tracking::failure);
}

TEST(States, TrackingRemembersTheWorst) {
  EXPECT_EQ(after_failure(Tracking::no_failures), Tracking::failure);
  EXPECT_EQ(after_rollback_start(Tracking::failure), Tracking::rollback_attempted);
  EXPECT_EQ(after_failure(Tracking::rollback_attempted), Tracking::rollback_failed);
  EXPECT_EQ(after_rollback_start(Tracking::rollback_failed), Tracking::rollback_failed);
  EXPECT_EQ(after_rollback_start(Tracking::no_failures), Tracking::no_failures);
}

}  // namespace
}  // namespace postern::device
