#include "device/flow/machine.hpp"

#include <boost/asio/this_coro.hpp>

#include "shared/base/cancellation.hpp"
#include "shared/base/fault_point.hpp"

namespace postern::device {
namespace {

/// A place at which a test can have the power cut: before or after what is done in a state.
void fault_point(std::string_view when, State state) {
  POSTERN_FAULT_POINT(fmt::format("flow.{}_{}", when, to_string(state)));
}

}  // namespace

net::awaitable<Status> Machine::install(Deployment deployment) {
  record_ = {
      .deployment_id = deployment.id,
      .artifact = {.name = deployment.artifact_name, .provides = std::nullopt, .clears = std::nullopt}};
  uri_ = deployment.uri;
  parts_.recorder.begin(deployment.id);
  parts_.log.info("update.started", {{"deployment", deployment.id}, {"artifact", deployment.artifact_name}});
  co_return co_await run(State::report_downloading);
}

net::awaitable<Result<bool>> Machine::recover() {
  auto stored = co_await parts_.store.update(UpdateKind::managed);
  if (!stored && stored.error().kind == Kind::corrupt) {
    parts_.log.error("update.record_unreadable", {{"error", stored.error().what}});
    POSTERN_CO_CHECK(co_await parts_.store.clear(UpdateKind::managed));
    co_return false;
  }
  if (!stored) co_return std::move(stored).error();
  if (!*stored) co_return false;
  record_ = **std::move(stored);
  const Recovery& recovery = recovery_of(record_.state);
  if (recovery.tracking) record_.tracking = *recovery.tracking;
  parts_.recorder.begin(record_.deployment_id);
  parts_.log.warn("update.taken_up", {{"deployment", record_.deployment_id},
                                      {"artifact", record_.artifact.name},
                                      {"stored_state", record_.state},
                                      {"state", to_string(recovery.resume_at)},
                                      {"why", recovery.why}});
  // Loads count as well, so that a state in which the machine dies every time comes to an end.
  State first = recovery.resume_at;
  if (record_.stores >= kStoresMax) {
    first = State::state_loop;
  } else {
    ++record_.stores;
    const Status saved = co_await parts_.store.save(UpdateKind::managed, record_);
    if (!saved) parts_.log.error("update.record_not_written", {{"error", saved.error().what}});
  }
  POSTERN_CO_CHECK(co_await run(first));
  co_return true;
}

net::awaitable<Status> Machine::run(State state) {
  is_cancelled_ = false;
  while (state != State::end) {
    const Row& row = row_of(state);
    is_looping_ = false;
    const Outcome outcome = co_await step(row);
    const bool is_stopped = co_await was_cancelled();
    if (is_cancelled_ || is_stopped) co_return cancelled(fmt::format("update in state {}", to_string(state)));
    if (is_looping_) {
      parts_.log.error("update.went_round_in_circles",
                       {{"state", to_string(state)}, {"stores", record_.stores}});
      state = State::state_loop;
      continue;
    }
    if (outcome == Outcome::failed && row.counts == Counts::yes) fail();
    const State next = next_state(row, outcome);
    const bool begins_rollback = next == State::rollback_enter || state == State::rollback_not_needed;
    if (begins_rollback) record_.tracking = after_rollback_start(record_.tracking);
    parts_.log.debug("update.state_left", {{"state", to_string(state)}, {"next", to_string(next)}});
    state = next;
  }
  const bool is_success = record_.tracking == Tracking::no_failures;
  parts_.log.info("update.ended", {{"deployment", record_.deployment_id},
                                   {"artifact", record_.artifact.name},
                                   {"status", is_success ? "success" : "failure"}});
  parts_.recorder.end();
  co_return Status{};
}

net::awaitable<Outcome> Machine::step(const Row& row) {
  if (!row.saved_as.empty()) {
    const Status stored = co_await store_entry(row);
    if (is_looping_) co_return Outcome::failed;
    if (!stored) {
      const Outcome unwritten = judge(stored, "write the record");
      if (row.unwritten == Unwritten::fail || is_cancelled_) co_return unwritten;
    }
  }
  fault_point("before", row.at);
  const Outcome outcome = co_await perform(row);
  fault_point("after", row.at);
  co_return outcome;
}

net::awaitable<Status> Machine::store_entry(const Row& row) {
  if (record_.stores >= kStoresMax) {
    is_looping_ = true;
    co_return exhausted("the update was stored too often");
  }
  ++record_.stores;
  record_.state = row.saved_as;
  parts_.log.debug("update.state_entered", {{"state", to_string(row.at)}, {"stores", record_.stores}});
  co_return co_await parts_.store.save(UpdateKind::managed, record_);
}

Outcome Machine::judge(const Status& status, std::string_view what) {
  if (status) return Outcome::ok;
  if (status.error().kind == Kind::cancelled) {
    is_cancelled_ = true;
    return Outcome::failed;
  }
  parts_.log.error("update.step_failed", {{"deployment", record_.deployment_id},
                                          {"artifact", record_.artifact.name},
                                          {"step", what},
                                          {"error", status.error().what}});
  return Outcome::failed;
}

net::awaitable<Outcome> Machine::perform(const Row& row) {
  switch (row.act) {
    case Act::nothing:
      co_return Outcome::ok;
    case Act::scripts: {
      const Status done = co_await parts_.scripts.run(row.subject, row.point);
      co_return judge(done, fmt::format("{}_{}", row.subject, to_string(row.point)));
    }
    case Act::module: {
      const Status done = co_await parts_.installer.call(record_.payload_type, row.subject);
      co_return judge(done, row.subject);
    }
    case Act::report:
      co_return co_await report(row.subject);
    case Act::special:
      co_return co_await perform_special(row.at);
  }
  co_return Outcome::failed;
}

net::awaitable<Outcome> Machine::perform_special(State state) {
  switch (state) {
    case State::download:
      co_return co_await download();
    case State::query_reboot:
    case State::query_rollback_reboot:
      co_return co_await query_reboot();
    case State::reboot:
      co_return co_await reboot("ArtifactReboot");
    case State::rollback_reboot:
      co_return co_await reboot("ArtifactRollbackReboot");
    case State::expire_token:
      parts_.server.expire_token();
      co_return Outcome::ok;
    case State::report_before_commit:
      co_return co_await report_before_commit();
    case State::query_rollback:
      co_return co_await query_rollback();
    case State::verify_rollback_reboot:
      co_return co_await verify_rollback_reboot();
    case State::save_provides:
      co_return co_await save_provides();
    case State::cleanup:
      co_return co_await clean_up();
    case State::state_loop:
      co_return co_await give_up();
    case State::report_final:
      co_return co_await report_final();
    case State::clear:
      co_return co_await clear();
    default:
      throw std::logic_error(fmt::format("state {} has nothing to do", to_string(state)));
  }
}

net::awaitable<Outcome> Machine::download() {
  const auto installed = co_await parts_.store.installed();
  if (!installed) co_return judge(installed.error(), "read what is installed");
  const auto body = co_await parts_.server.download(uri_);
  if (!body) co_return judge(body.error(), "download");
  Installer::OnHeader on_header = [this](const ArtifactHeader& header) { return accept_header(header); };
  const Status done = co_await parts_.installer.download(**body, *installed, std::move(on_header));
  const Outcome outcome = judge(done, "download");
  co_return outcome == Outcome::ok&& record_.payload_type.empty() ? Outcome::other : outcome;
}

/// From now on a clean-up knows whose module to call.
net::awaitable<Status> Machine::accept_header(const ArtifactHeader& header) {
  record_.artifact = facts_of(header);
  record_.payload_type = header.payload_type.value_or("");
  const Status stored = co_await store_entry(row_of(State::download_enter));
  fault_point("after", State::download_enter);
  co_return stored;
}

net::awaitable<Outcome> Machine::query_reboot() {
  const auto reboot = co_await parts_.installer.needs_reboot(record_.payload_type);
  if (!reboot) co_return judge(reboot.error(), "NeedsArtifactReboot");
  record_.reboot = *reboot;
  co_return *reboot == Reboot::none ? Outcome::other : Outcome::ok;
}

net::awaitable<Outcome> Machine::reboot(std::string_view module_state) {
  if (record_.reboot == Reboot::automatic) {
    const Status rebooted = co_await parts_.installer.reboot();
    co_return judge(rebooted, "reboot");
  }
  const Status called = co_await parts_.installer.call(record_.payload_type, module_state);
  co_return judge(called, module_state);
}

net::awaitable<Outcome> Machine::query_rollback() {
  if (!record_.supports_rollback) {
    const auto supported = co_await parts_.installer.supports_rollback(record_.payload_type);
    if (!supported) co_return judge(supported.error(), "SupportsRollback");
    record_.supports_rollback = *supported;
  }
  co_return *record_.supports_rollback ? Outcome::ok : Outcome::other;
}

/// The machine may have come back with what was to be removed: then it has to reboot once more.
net::awaitable<Outcome> Machine::verify_rollback_reboot() {
  const Status verified =
      co_await parts_.installer.call(record_.payload_type, "ArtifactVerifyRollbackReboot");
  const Outcome outcome = judge(verified, "ArtifactVerifyRollbackReboot");
  co_return outcome == Outcome::ok ? outcome : Outcome::other;
}

net::awaitable<Outcome> Machine::save_provides() {
  const auto before = co_await parts_.store.installed();
  if (!before) co_return judge(before.error(), "read what is installed");
  if (record_.stores >= kStoresMax) {
    is_looping_ = true;
    co_return Outcome::failed;
  }
  ++record_.stores;
  record_.state = row_of(State::cleanup).saved_as;
  const Status saved =
      co_await parts_.store.save(UpdateKind::managed, record_, installed_after(*before, record_));
  co_return judge(saved, "write what is installed");
}

net::awaitable<Outcome> Machine::clean_up() {
  if (record_.payload_type.empty()) co_return Outcome::ok;
  const Status cleaned = co_await parts_.installer.clean_up(record_.payload_type);
  co_return judge(cleaned, "Cleanup");
}

/// Too late for order: only tells the truth about the state that the device is in.
net::awaitable<Outcome> Machine::give_up() {
  record_.tracking = Tracking::rollback_failed;
  record_.state = recovery_of("state-loop").saved_as;
  const auto before = co_await parts_.store.installed();
  if (!before) co_return judge(before.error(), "read what is installed");
  const Status saved =
      co_await parts_.store.save(UpdateKind::managed, record_, installed_after(*before, record_));
  co_return judge(saved, "write what is installed");
}

net::awaitable<Outcome> Machine::report(std::string_view status) {
  const Status reported = co_await parts_.server.report_status(record_.deployment_id, status);
  if (reported) co_return Outcome::ok;
  const Outcome outcome = judge(reported, fmt::format("report {}", status));
  if (reported.error().reason != Reason::conflict) co_return outcome;
  fail();
  co_return Outcome::other;
}

net::awaitable<Outcome> Machine::report_before_commit() {
  const Status reported = co_await report_patiently("installing");
  co_return judge(reported, "reach the server before the commit");
}

net::awaitable<Outcome> Machine::report_final() {
  const bool is_success = record_.tracking == Tracking::no_failures;
  const Status reported = co_await report_patiently(is_success ? "success" : "failure");
  const Outcome outcome = judge(reported, "report the end");
  if (is_success || is_cancelled_) co_return outcome;
  const Status uploaded = co_await upload_log();
  co_return judge(uploaded, "send the log");
}

net::awaitable<Outcome> Machine::clear() {
  const Status cleared = co_await parts_.store.clear(UpdateKind::managed);
  co_return judge(cleared, "remove the record");
}

net::awaitable<Status> Machine::report_patiently(std::string_view status) {
  for (Backoff backoff(retries_);;) {
    Status reported = co_await parts_.server.report_status(record_.deployment_id, status);
    if (reported || reported.error().reason == Reason::conflict || reported.error().kind == Kind::cancelled) {
      co_return reported;
    }
    parts_.log.warn("update.report_failed", {{"status", status}, {"error", reported.error().what}});
    const bool is_again = co_await wait_to_retry(backoff);
    if (!is_again) co_return reported;
  }
}

net::awaitable<Status> Machine::upload_log() {
  const auto body = parts_.recorder.body();
  if (!body) co_return body.error();
  for (Backoff backoff(retries_);;) {
    Status sent = co_await parts_.server.upload_log(record_.deployment_id, *body);
    if (sent || sent.error().reason == Reason::too_large || sent.error().kind == Kind::cancelled)
      co_return sent;
    parts_.log.warn("update.log_not_sent", {{"error", sent.error().what}});
    const bool is_again = co_await wait_to_retry(backoff);
    if (!is_again) co_return sent;
  }
}

net::awaitable<bool> Machine::wait_to_retry(Backoff& backoff) {
  const bool is_stopped = co_await was_cancelled();
  if (is_stopped) is_cancelled_ = true;
  const auto wait = backoff.next();
  if (!wait || is_stopped) co_return false;
  const Status slept = co_await parts_.clock.sleep(parts_.server.retry_after().value_or(*wait));
  if (!slept) is_cancelled_ = true;
  co_return slept.has_value();
}

}  // namespace postern::device
