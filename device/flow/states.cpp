#include "device/flow/states.hpp"

#include <algorithm>

namespace postern::device {
namespace {

using enum State;

/// A row in the making; what is not said is the most common.
struct Make : Row {
  constexpr Make(State state, Act what, std::string_view about)
      : Row{state, "", what, about, ScriptPoint::enter, end, end, end, Counts::yes, Unwritten::fail} {}
  constexpr Make ok(State state) const {
    Make changed = *this;
    changed.on_ok = state;
    return changed;
  }
  constexpr Make failed(State state) const {
    Make changed = *this;
    changed.on_failed = state;
    return changed;
  }
  constexpr Make other(State state) const {
    Make changed = *this;
    changed.on_other = state;
    return changed;
  }
  constexpr Make always(State state) const { return ok(state).failed(state); }
  constexpr Make saved(std::string_view word) const {
    Make changed = *this;
    changed.saved_as = word;
    return changed;
  }
  constexpr Make saved_if_possible(std::string_view word) const {
    Make changed = saved(word);
    changed.unwritten = Unwritten::act;
    return changed;
  }
  constexpr Make tolerated() const {
    Make changed = *this;
    changed.counts = Counts::no;
    return changed;
  }
};

constexpr Make scripts(State state, std::string_view step, ScriptPoint point) {
  Make row(state, Act::scripts, step);
  row.point = point;
  return row;
}
constexpr Make enter(State state, std::string_view step) {
  return scripts(state, step, ScriptPoint::enter);
}
constexpr Make leave(State state, std::string_view step) {
  return scripts(state, step, ScriptPoint::leave);
}
/// Scripts after a failure: what they do cannot make it worse.
constexpr Make error(State state, std::string_view step) {
  return scripts(state, step, ScriptPoint::error).tolerated();
}
constexpr Make module(State state, std::string_view step) {
  return Make(state, Act::module, step);
}
constexpr Make report(State state, std::string_view status) {
  return Make(state, Act::report, status).tolerated();
}
constexpr Make special(State state) {
  return Make(state, Act::special, "");
}

constexpr std::array<Row, kStateCount> kFlow{
    // What is on the device does not change yet.
    report(report_downloading, "downloading").always(download_enter).other(cleanup),
    enter(download_enter, "Download").saved("update-store").ok(download).failed(download_error),
    special(download).ok(download_leave).failed(download_error).other(download_leave_empty),
    error(download_error, "Download").always(rollback_not_needed),
    Make(rollback_not_needed, Act::nothing, "").always(cleanup),
    leave(download_leave, "Download").ok(report_installing).failed(download_error),
    leave(download_leave_empty, "Download").ok(save_provides).failed(download_error),
    report(report_installing, "installing").always(install_enter).other(cleanup),

    // From here on, a failure has to be undone.
    enter(install_enter, "ArtifactInstall").saved("update-install").ok(install).failed(install_error),
    module(install, "ArtifactInstall").ok(install_leave).failed(install_error),
    leave(install_leave, "ArtifactInstall").ok(query_reboot).failed(install_error),
    error(install_error, "ArtifactInstall").always(query_rollback),
    special(query_reboot).ok(report_rebooting).failed(query_rollback).other(expire_token),
    report(report_rebooting, "rebooting").always(reboot_enter).other(query_rollback),
    enter(reboot_enter, "ArtifactReboot").saved("reboot").ok(reboot).failed(reboot_error),
    special(reboot).ok(verify_reboot).failed(reboot_error),
    module(verify_reboot, "ArtifactVerifyReboot").saved("after-reboot").ok(reboot_leave).failed(reboot_error),
    leave(reboot_leave, "ArtifactReboot").ok(expire_token).failed(reboot_error),
    error(reboot_error, "ArtifactReboot").always(query_rollback),

    // What is new has to be able to reach the server, or it would never be replaced again.
    special(expire_token).always(report_before_commit),
    special(report_before_commit).ok(commit_enter).failed(query_rollback).other(query_rollback),
    enter(commit_enter, "ArtifactCommit").saved("update-commit").ok(commit).failed(commit_error),
    module(commit, "ArtifactCommit").ok(after_commit).failed(commit_error),
    error(commit_error, "ArtifactCommit").always(query_rollback),

    // Too late to undo.
    Make(after_commit, Act::nothing, "")
        .saved("update-after-commit")
        .ok(commit_leave)
        .failed(commit_leave_error),
    leave(commit_leave, "ArtifactCommit").ok(save_provides).failed(commit_leave_error),
    error(commit_leave_error, "ArtifactCommit").always(save_provides),

    // Undoing.
    special(query_rollback).ok(rollback_enter).failed(failure_enter).other(failure_enter),
    enter(rollback_enter, "ArtifactRollback").saved_if_possible("rollback").always(rollback),
    module(rollback, "ArtifactRollback").ok(rollback_leave).failed(rollback_leave_failed),
    leave(rollback_leave, "ArtifactRollback").always(query_rollback_reboot),
    leave(rollback_leave_failed, "ArtifactRollback").always(failure_enter),
    special(query_rollback_reboot).ok(rollback_reboot_enter).failed(failure_enter).other(failure_enter),
    enter(rollback_reboot_enter, "ArtifactRollbackReboot")
        .saved_if_possible("rollback-reboot")
        .always(rollback_reboot),
    special(rollback_reboot).always(verify_rollback_reboot).tolerated(),
    special(verify_rollback_reboot)
        .saved_if_possible("verify-rollback-reboot")
        .ok(rollback_reboot_leave)
        .other(rollback_reboot),
    leave(rollback_reboot_leave, "ArtifactRollbackReboot").ok(failure_enter).failed(rollback_reboot_error),
    error(rollback_reboot_error, "ArtifactRollbackReboot").always(failure_enter),
    enter(failure_enter, "ArtifactFailure").saved_if_possible("update-error").always(failure),
    module(failure, "ArtifactFailure").saved_if_possible("update-error").always(failure_leave),
    leave(failure_leave, "ArtifactFailure").always(save_provides),

    // The end, whichever it is.
    special(save_provides).always(cleanup),
    special(cleanup).saved_if_possible("cleanup").always(report_final).tolerated(),
    special(state_loop).always(report_final),
    special(report_final).always(clear).tolerated(),
    special(clear).always(end).tolerated(),
};

constexpr std::string_view kStateLoop = "state-loop";

constexpr std::array kRecovery{
    Recovery{"update-store", cleanup, Tracking::rollback_attempted, "nothing has changed yet"},
    Recovery{"update-install", query_rollback, Tracking::failure, "half an installation is undone"},
    Recovery{"reboot", verify_reboot, std::nullopt, "an end in this state is what a reboot looks like"},
    Recovery{"after-reboot", query_rollback, Tracking::failure, "what was to be verified does not stay up"},
    Recovery{"update-commit", query_rollback, Tracking::failure,
             "the boot loader may have fallen back already"},
    Recovery{"update-after-commit", after_commit, std::nullopt, "what is committed stays"},
    Recovery{"rollback", rollback_enter, std::nullopt, "half a rollback is repeated"},
    Recovery{"rollback-reboot", verify_rollback_reboot, std::nullopt,
             "an end here is what a reboot looks like"},
    Recovery{"verify-rollback-reboot", verify_rollback_reboot, std::nullopt, "it is verified once more"},
    Recovery{"update-error", failure_enter, std::nullopt, "it is repeated"},
    Recovery{"cleanup", cleanup, std::nullopt, "how the update went is decided and recorded"},
    Recovery{kStateLoop, state_loop, Tracking::rollback_failed, "it was given up"},
};
constexpr Recovery kUnknown{"", query_rollback, Tracking::failure, "an unknown state is undone"};

constexpr bool is_complete() {
  for (std::size_t i = 0; i < kFlow.size(); ++i) {
    if (kFlow[i].at != static_cast<State>(i)) return false;
    const std::string_view word = kFlow[i].saved_as;
    if (!word.empty() && std::ranges::find(kRecovery, word, &Recovery::saved_as) == kRecovery.end())
      return false;
  }
  return true;
}
static_assert(is_complete(), "each state has its row, in order, and each word in the record its recovery");

constexpr std::array<std::string_view, kStateCount + 1> kNames{"report_downloading",
                                                               "download_enter",
                                                               "download",
                                                               "download_error",
                                                               "rollback_not_needed",
                                                               "download_leave",
                                                               "download_leave_empty",
                                                               "report_installing",
                                                               "install_enter",
                                                               "install",
                                                               "install_leave",
                                                               "install_error",
                                                               "query_reboot",
                                                               "report_rebooting",
                                                               "reboot_enter",
                                                               "reboot",
                                                               "verify_reboot",
                                                               "reboot_leave",
                                                               "reboot_error",
                                                               "expire_token",
                                                               "report_before_commit",
                                                               "commit_enter",
                                                               "commit",
                                                               "commit_error",
                                                               "after_commit",
                                                               "commit_leave",
                                                               "commit_leave_error",
                                                               "query_rollback",
                                                               "rollback_enter",
                                                               "rollback",
                                                               "rollback_leave",
                                                               "rollback_leave_failed",
                                                               "query_rollback_reboot",
                                                               "rollback_reboot_enter",
                                                               "rollback_reboot",
                                                               "verify_rollback_reboot",
                                                               "rollback_reboot_leave",
                                                               "rollback_reboot_error",
                                                               "failure_enter",
                                                               "failure",
                                                               "failure_leave",
                                                               "save_provides",
                                                               "cleanup",
                                                               "state_loop",
                                                               "report_final",
                                                               "clear",
                                                               "end"};

}  // namespace

std::string_view to_string(State state) {
  return kNames[static_cast<std::size_t>(state)];
}

const Row& row_of(State state) {
  return kFlow.at(static_cast<std::size_t>(state));
}

State next_state(const Row& row, Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return row.on_ok;
    case Outcome::failed:
      return row.on_failed;
    case Outcome::other:
      return row.on_other;
  }
  return end;
}

const Recovery& recovery_of(std::string_view saved_as) {
  const auto found = std::ranges::find(kRecovery, saved_as, &Recovery::saved_as);
  return found == kRecovery.end() ? kUnknown : *found;
}

Tracking after_failure(Tracking tracking) {
  switch (tracking) {
    case Tracking::no_failures:
    case Tracking::failure:
      return Tracking::failure;
    case Tracking::rollback_attempted:
    case Tracking::rollback_failed:
      return Tracking::rollback_failed;
  }
  return Tracking::rollback_failed;
}

Tracking after_rollback_start(Tracking tracking) {
  return tracking == Tracking::failure ? Tracking::rollback_attempted : tracking;
}

std::span<const Row> all_rows() {
  return kFlow;
}

std::span<const Recovery> all_recoveries() {
  return kRecovery;
}

}  // namespace postern::device
