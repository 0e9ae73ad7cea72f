#include "device/flow/standalone.hpp"

#include "shared/base/fault_point.hpp"

namespace postern::device {
namespace {

// Where a standalone update stands (device-client 8.2).
constexpr std::string_view kInstalling = "ArtifactInstall_Enter";
constexpr std::string_view kWaiting = "Before_ArtifactCommit_Enter";
constexpr std::string_view kCommitting = "ArtifactCommit_Enter";
constexpr std::string_view kRollingBack = "ArtifactRollback_Enter";
constexpr std::string_view kFailing = "ArtifactFailure_Enter";
constexpr std::string_view kCleaningUp = "Cleanup";

constexpr std::string_view kInconsistent = "Rollback failed. System may be in an inconsistent state.";

}  // namespace

net::awaitable<Result<int>> Standalone::install(Open open, bool with_reboot_status) {
  POSTERN_CO_CHECK(co_await load());
  if (is_pending_) co_return conflict("Update already in progress. Please commit or roll back first");
  POSTERN_CO_TRY(const auto managed, co_await parts_.store.update(UpdateKind::managed));
  if (managed) co_return conflict("An update ordered by the server is in progress");
  parts_.say("Installing artifact...");
  const Status fetched = co_await fetch(std::move(open));
  if (!fetched) {
    parts_.say("Streaming failed.");
    parts_.say("System not modified.");
    if (!record_.payload_type.empty()) {
      const Status cleaned = co_await parts_.installer.clean_up(record_.payload_type);
      if (!cleaned) parts_.log.warn("update.cleanup_failed", {{"error", cleaned.error().what}});
    }
    co_return fetched.error();
  }
  if (record_.payload_type.empty()) co_return co_await install_empty();

  const Status installed = co_await run_install();
  if (!installed) {
    if (record_.state != kInstalling) co_return installed.error();  // nothing was begun
    parts_.say("Installation failed.");
    co_return co_await undo(installed.error(), true);
  }
  POSTERN_CO_CHECK(co_await save(kWaiting));
  const Status queried = co_await query();
  if (!queried) co_return co_await undo(queried.error(), true);
  int exit = record_.reboot != Reboot::none && with_reboot_status ? kExitReboot : kExitOk;
  if (*record_.supports_rollback) {
    parts_.say("Installed, but not committed.");
    parts_.say("Use 'commit' to update, or 'rollback' to roll back the update.");
  } else {
    parts_.say("Update Module doesn't support rollback. Committing immediately.");
    const auto committed = co_await run_commit("Installed and committed.");
    if (!committed || *committed != kExitOk) co_return committed;
  }
  if (record_.reboot != Reboot::none)
    parts_.say("At least one payload requested a reboot of the device it updated.");
  co_return exit;
}

net::awaitable<Result<int>> Standalone::commit() {
  POSTERN_CO_CHECK(co_await load());
  if (!is_pending_) {
    parts_.say("No update in progress.");
    co_return kExitNothingToDo;
  }
  if (record_.state == kWaiting) co_return co_await run_commit("Committed.");
  if (record_.state == kCommitting) co_return co_await undo(std::nullopt, false);
  co_return not_from_here("commit");
}

net::awaitable<Result<int>> Standalone::roll_back() {
  POSTERN_CO_CHECK(co_await load());
  if (!is_pending_) {
    parts_.say("No update in progress.");
    co_return kExitNothingToDo;
  }
  if (record_.state == kFailing || record_.state == kCleaningUp) co_return not_from_here("roll back");
  co_return co_await undo(std::nullopt, true);
}

net::awaitable<Result<int>> Standalone::resume() {
  POSTERN_CO_CHECK(co_await load());
  if (!is_pending_) {
    parts_.say("No update in progress.");
    co_return kExitNothingToDo;
  }
  if (record_.state == kWaiting) co_return co_await run_commit("Committed.");
  if (record_.state == kFailing) co_return co_await run_failure(std::nullopt);
  if (record_.state == kCleaningUp) {
    co_return co_await finish(record_.tracking == Tracking::no_failures ? "Cleaned up." : "Rolled back.",
                              std::nullopt);
  }
  co_return co_await undo(std::nullopt, false);
}

net::awaitable<Status> Standalone::load() {
  POSTERN_CO_TRY(auto stored, co_await parts_.store.update(UpdateKind::standalone));
  is_pending_ = stored.has_value();
  record_ = is_pending_ ? *std::move(stored) : UpdateRecord{};
  co_return Status{};
}

net::awaitable<Status> Standalone::save(std::string_view state) {
  record_.state = state;
  POSTERN_CO_CHECK(co_await parts_.store.save(UpdateKind::standalone, record_));
  is_pending_ = true;
  co_return Status{};
}

Error Standalone::not_from_here(std::string_view command) const {
  return conflict(
      fmt::format("Operation cannot be done in this state: Cannot {} from this state ({}). Use 'resume'.",
                  command, record_.state));
}

/// Scripts of the step, or those of its error.
net::awaitable<Status> Standalone::around(std::string_view step) {
  POSTERN_CO_CHECK(co_await parts_.scripts.run(step, ScriptPoint::enter));
  const Status called = co_await parts_.installer.call(record_.payload_type, step);
  if (!called) co_return called;
  co_return co_await parts_.scripts.run(step, ScriptPoint::leave);
}

net::awaitable<Status> Standalone::run_step(std::string_view step) {
  const Status done = co_await around(step);
  if (!done) {
    const Status scripts = co_await parts_.scripts.run(step, ScriptPoint::error);
    if (!scripts) parts_.log.warn("update.error_scripts_failed", {{"error", scripts.error().what}});
  }
  co_return done;
}

net::awaitable<Status> Standalone::fetch(Open open) {
  const Status fetched = co_await fetch_payload(std::move(open));
  if (!fetched) {
    const Status scripts = co_await parts_.scripts.run("Download", ScriptPoint::error);
    if (!scripts) parts_.log.warn("update.error_scripts_failed", {{"error", scripts.error().what}});
  }
  co_return fetched;
}

net::awaitable<Status> Standalone::fetch_payload(Open open) {
  POSTERN_CO_CHECK(co_await parts_.scripts.run("Download", ScriptPoint::enter));
  POSTERN_CO_TRY(const Installed installed, co_await parts_.store.installed());
  POSTERN_CO_TRY(const auto body, co_await open());
  Installer::OnHeader on_header = [this](const ArtifactHeader& header) -> net::awaitable<Status> {
    record_.artifact = facts_of(header);
    record_.payload_type = header.payload_type.value_or("");
    co_return Status{};
  };
  POSTERN_CO_CHECK(co_await parts_.installer.download(*body, installed, std::move(on_header)));
  POSTERN_FAULT_POINT("standalone.after_download");
  co_return co_await parts_.scripts.run("Download", ScriptPoint::leave);
}

net::awaitable<Result<int>> Standalone::install_empty() {
  parts_.say("Artifact with empty payload. Committing immediately.");
  POSTERN_CO_TRY(Installed before, co_await parts_.store.installed());
  POSTERN_CO_CHECK(
      co_await parts_.store.clear(UpdateKind::standalone, installed_after(std::move(before), record_)));
  parts_.say("Installed and committed.");
  co_return kExitOk;
}

net::awaitable<Status> Standalone::run_install() {
  const Status saved = co_await save(kInstalling);
  if (!saved) {
    record_.state.clear();
    co_return saved;
  }
  POSTERN_FAULT_POINT("standalone.before_install");
  POSTERN_CO_CHECK(co_await run_step("ArtifactInstall"));
  POSTERN_FAULT_POINT("standalone.after_install");
  co_return Status{};
}

net::awaitable<Status> Standalone::query() {
  POSTERN_CO_TRY(record_.reboot, co_await parts_.installer.needs_reboot(record_.payload_type));
  POSTERN_CO_TRY(record_.supports_rollback,
                 co_await parts_.installer.supports_rollback(record_.payload_type));
  co_return Status{};
}

net::awaitable<Result<int>> Standalone::run_commit(std::string_view when_done) {
  POSTERN_CO_CHECK(co_await save(kCommitting));
  const Status committed = co_await commit_payload();
  if (!committed) {
    parts_.say("Committing failed.");
    co_return co_await undo(committed.error(), true);
  }
  // Leave scripts come too late to undo anything.
  const Status left = co_await parts_.scripts.run("ArtifactCommit", ScriptPoint::leave);
  if (!left) {
    parts_.say("One or more post-commit steps failed.");
    record_.tracking = Tracking::failure;
  }
  co_return co_await finish(when_done, left ? std::optional<Error>() : left.error());
}

net::awaitable<Status> Standalone::commit_payload() {
  POSTERN_FAULT_POINT("standalone.before_commit");
  Status done = co_await parts_.scripts.run("ArtifactCommit", ScriptPoint::enter);
  if (done) done = co_await parts_.installer.call(record_.payload_type, "ArtifactCommit");
  if (!done) {
    const Status scripts = co_await parts_.scripts.run("ArtifactCommit", ScriptPoint::error);
    if (!scripts) parts_.log.warn("update.error_scripts_failed", {{"error", scripts.error().what}});
  }
  POSTERN_FAULT_POINT("standalone.after_commit");
  co_return done;
}

/// Undoes the update, because of `why` or because the operator wants it. With `ask`, the module is asked
/// first whether it can.
net::awaitable<Result<int>> Standalone::undo(std::optional<Error> why, bool ask) {
  const Status rolled_back = co_await run_rollback(ask);
  if (rolled_back) {
    record_.tracking = Tracking::rollback_attempted;
  } else {
    record_.tracking = Tracking::rollback_failed;
    if (!why) why = rolled_back.error();
  }
  co_return co_await run_failure(std::move(why));
}

net::awaitable<Status> Standalone::run_rollback(bool ask) {
  if (ask) {
    const auto supported = co_await parts_.installer.supports_rollback(record_.payload_type);
    if (!supported) {
      parts_.say(kInconsistent);
      co_return supported.error();
    }
    if (!*supported) {
      parts_.say("Update Module does not support rollback. System may be in an inconsistent state.");
      co_return rejected(Reason::unsupported, "the update module does not support rollback");
    }
  }
  // The record is what would be taken up again after a power cut; undoing goes on without it.
  const Status saved = co_await save(kRollingBack);
  if (!saved) parts_.log.error("update.record_not_written", {{"error", saved.error().what}});
  POSTERN_FAULT_POINT("standalone.before_rollback");
  const Status undone = co_await run_step("ArtifactRollback");
  if (!undone) parts_.say(kInconsistent);
  co_return undone;
}

net::awaitable<Result<int>> Standalone::run_failure(std::optional<Error> why) {
  const Status saved = co_await save(kFailing);
  if (!saved) parts_.log.error("update.record_not_written", {{"error", saved.error().what}});
  const Status failed = co_await run_step("ArtifactFailure");
  if (!failed) {
    if (record_.tracking == Tracking::rollback_attempted) parts_.say(kInconsistent);
    record_.tracking = Tracking::rollback_failed;
    if (!why) why = failed.error();
  }
  co_return co_await finish(record_.tracking == Tracking::rollback_attempted ? "Rolled back." : "",
                            std::move(why));
}

/// Cleans up, and stores how the update ended.
net::awaitable<Result<int>> Standalone::finish(std::string_view when_done, std::optional<Error> why) {
  POSTERN_CO_TRY(Installed installed, co_await parts_.store.installed());
  installed = installed_after(std::move(installed), record_);
  record_.state = kCleaningUp;
  POSTERN_CO_CHECK(co_await parts_.store.save(UpdateKind::standalone, record_, installed));
  POSTERN_FAULT_POINT("standalone.before_cleanup");
  if (!when_done.empty()) parts_.say(when_done);
  const Status cleaned = co_await parts_.installer.clean_up(record_.payload_type);
  if (!cleaned) {
    parts_.say("Cleanup failed.");
    if (record_.tracking == Tracking::no_failures)
      installed = with_inconsistent(std::move(installed), record_.artifact);
    if (!why) why = cleaned.error();
  }
  POSTERN_CO_CHECK(co_await parts_.store.clear(UpdateKind::standalone, installed));
  is_pending_ = false;
  if (why) co_return *std::move(why);
  co_return kExitOk;
}

}  // namespace postern::device
