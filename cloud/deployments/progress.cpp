#include "cloud/deployments/progress.hpp"

#include <algorithm>

#include "cloud/deployments/situation.hpp"

namespace postern::cloud {
namespace {

using rollout::DeviceStatus;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

/// What a decision means for the store; id empty: nothing.
struct Consequence {
  std::string deployment_id;
  std::string artifact_id;
  bool is_new = false;
  bool assigns_artifact = false;
  std::optional<DeviceStatus> status;
  bool is_retry = false;
};

Consequence consequence_of(const rollout::Decision& decision) {
  return std::visit(
      Overloaded{
          [](const rollout::Nothing&) { return Consequence{}; },
          [](const rollout::Offer& offer) {
            return Consequence{
                offer.deployment_id, offer.artifact_id, offer.is_new, offer.assigns_artifact, {},
                offer.is_retry};
          },
          [](const rollout::AlreadyInstalled& installed) {
            return Consequence{installed.deployment_id,    installed.artifact_id,           installed.is_new,
                               installed.assigns_artifact, DeviceStatus::already_installed, false};
          },
          [](const rollout::NoArtifact& none) {
            return Consequence{none.deployment_id, "", none.is_new, false, DeviceStatus::noartifact, false};
          },
          [](const rollout::Conflict& conflicting) {
            return Consequence{conflicting.deployment_id, "", false, false, DeviceStatus::failure, false};
          }},
      decision);
}

Result<Deployment> require_deployment(const ReadTx& tx, std::string_view id) {
  POSTERN_TRY(auto deployment, tx.deployments().find(id));
  if (!deployment) return not_found("Resource not found");
  return *std::move(deployment);
}

Result<DeviceDeployment> require_record(const ReadTx& tx, const Deployment& deployment,
                                        std::uint32_t device) {
  POSTERN_TRY(auto record, tx.deployments().find_device(deployment.ordinal, device));
  if (!record) return not_found("Resource not found");
  return *std::move(record);
}

/// The device begins its update, for the first time or again.
Status begin(const ReadTx& tx, const Deployment& deployment, DeploymentCounts& counts,
             DeviceDeployment& record, WallTime now) {
  ++counts.running;
  record.state.waits_for_retry = false;
  record.changed = now;
  if (deployment.plan.concurrent_per_site == 0) return {};
  POSTERN_TRY(record.site, site_of(tx, record.device));
  ++counts.running_at[record.site];
  return {};
}

/// The device no longer updates; the opposite of begin().
void leave(const Deployment& deployment, DeploymentCounts& counts, const DeviceDeployment& record) {
  if (counts.running > 0) --counts.running;
  if (deployment.plan.concurrent_per_site == 0) return;
  const auto at_site = counts.running_at.find(record.site);
  if (at_site != counts.running_at.end() && --at_site->second == 0) counts.running_at.erase(at_site);
}

/// What one more outcome means for the deployment: its rule may stop it, and it ends with its last device.
Status take_outcome(WriteTx& tx, Deployment& deployment, DeploymentCounts& counts, DeviceStatus outcome,
                    WallTime now) {
  bool has_changed = false;
  if (outcome == DeviceStatus::success || outcome == DeviceStatus::failure) {
    const rollout::StopRule& rule = deployment.plan.stop;
    counts.outcomes.add(rule, outcome == DeviceStatus::failure, now);
    if (deployment.state != rollout::RunState::stopped && must_stop(rule, counts.outcomes, now)) {
      deployment.state = rollout::RunState::stopped;
      deployment.state_since = now;
      has_changed = true;
    }
  }
  const std::uint32_t limit = deployment.device_limit();
  if (limit > 0 && counts.statistics.finals() >= limit && !deployment.finished) {
    deployment.finished = now;
    has_changed = true;
  }
  return has_changed ? tx.change_deployments().put(deployment) : Status{};
}

/// Moves one record to `status` and everything that hangs on it: the counts, the device's progress, and the
/// deployment's end when this was its last device.
Status move_to(WriteTx& tx, Deployment& deployment, DeploymentCounts& counts, DeviceDeployment& record,
               DeviceStatus status, WallTime now) {
  if (record.state.status == status) return {};
  counts.statistics.move(record.state.status, status);
  record.state.status = status;
  record.changed = now;
  if (!record.started) record.started = now;
  if (rollout::is_active(status)) return {};
  record.finished = now;
  if (!record.state.waits_for_retry) leave(deployment, counts, record);
  record.state.waits_for_retry = false;
  POSTERN_TRY(DeviceProgress progress, tx.devices().progress(record.device));
  if (progress.active_deployment == deployment.ordinal) progress.active_deployment = 0;
  progress.last_finished = std::max(progress.last_finished, deployment.ordinal);
  POSTERN_CHECK(tx.change_devices().put_progress(record.device, progress));
  return take_outcome(tx, deployment, counts, status, now);
}

/// The attempt failed, and there is another one: the device asks for it like for a new deployment.
void wait_for_retry(const Deployment& deployment, DeploymentCounts& counts, DeviceDeployment& record,
                    WallTime now) {
  leave(deployment, counts, record);
  counts.statistics.move(record.state.status, DeviceStatus::pending);
  record.state.status = DeviceStatus::pending;
  record.state.waits_for_retry = true;
  record.changed = now;
}

Status apply(WriteTx& tx, std::uint32_t device, const rollout::Device& report, const Consequence& consequence,
             WallTime now) {
  POSTERN_TRY(Deployment deployment, require_deployment(tx, consequence.deployment_id));
  POSTERN_TRY(DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
  POSTERN_TRY(auto existing, tx.deployments().find_device(deployment.ordinal, device));
  DeviceDeployment record = existing.value_or(
      DeviceDeployment{.device = device, .deployment = deployment.ordinal, .created = deployment.created});
  if (consequence.is_new) {
    ++counts.device_count;
    if (deployment.is_dynamic()) counts.statistics.add(DeviceStatus::pending);
    POSTERN_TRY(DeviceProgress progress, tx.devices().progress(device));
    progress.active_deployment = deployment.ordinal;
    POSTERN_CHECK(tx.change_devices().put_progress(device, progress));
  }
  if (consequence.is_new || consequence.is_retry) POSTERN_CHECK(begin(tx, deployment, counts, record, now));
  if (!record.state.request) record.state.request = report;
  if (consequence.assigns_artifact) {
    record.state.artifact_id = consequence.artifact_id;
    if (!consequence.status) {  // handed out, and not installed already
      POSTERN_TRY(const auto artifact, tx.artifacts().find(consequence.artifact_id));
      if (artifact) counts.total_size_bytes += artifact->size_bytes;
    }
  }
  if (consequence.status) POSTERN_CHECK(move_to(tx, deployment, counts, record, *consequence.status, now));
  POSTERN_CHECK(tx.change_deployments().put_device(record));
  return tx.change_deployments().put_counts(deployment.ordinal, counts);
}

/// Whether an offer is of a deployment whose record still lacks the device's report.
Result<bool> lacks_request(const ReadTx& tx, const std::string& deployment_id, std::uint32_t device) {
  POSTERN_TRY(const Deployment deployment, require_deployment(tx, deployment_id));
  POSTERN_TRY(const auto record, tx.deployments().find_device(deployment.ordinal, device));
  return !record || !record->state.request;
}

}  // namespace

DeviceStatus effective_status(const Deployment& deployment, const DeviceDeployment& device_deployment) {
  const DeviceStatus stored = device_deployment.state.status;
  return deployment.finished && rollout::is_active(stored) ? DeviceStatus::aborted : stored;
}

Result<PollOutcome> inspect_poll(const ReadTx& tx, std::uint32_t device, const rollout::Device& report,
                                 WallTime now) {
  POSTERN_TRY(const Situation situation, situation_of(tx, device, now));
  const auto selection =
      rollout::select({.device = report, .last_finished = situation.last_finished}, situation.candidates, {});
  PollOutcome outcome{.decision = selection.decision};
  const Consequence consequence = consequence_of(selection.decision);
  if (consequence.deployment_id.empty()) return outcome;
  outcome.must_store = consequence.is_new || consequence.is_retry || consequence.assigns_artifact ||
                       consequence.status.has_value();
  if (std::holds_alternative<rollout::Offer>(selection.decision)) {
    if (!outcome.must_store) {
      POSTERN_TRY(outcome.must_store, lacks_request(tx, consequence.deployment_id, device));
    }
    POSTERN_TRY(outcome.artifact, tx.artifacts().find(consequence.artifact_id));
  }
  return outcome;
}

Result<PollOutcome> decide_poll(WriteTx& tx, std::uint32_t device, const rollout::Device& report,
                                WallTime now) {
  POSTERN_TRY(PollOutcome outcome, inspect_poll(tx, device, report, now));
  if (outcome.must_store) POSTERN_CHECK(apply(tx, device, report, consequence_of(outcome.decision), now));
  return outcome;
}

Result<rollout::ReportEffect> inspect_report(const ReadTx& tx, std::string_view deployment_id,
                                             std::uint32_t device, DeviceStatus status) {
  POSTERN_TRY(const Deployment deployment, require_deployment(tx, deployment_id));
  POSTERN_TRY(const DeviceDeployment record, require_record(tx, deployment, device));
  const auto effect = rollout::on_report(effective_status(deployment, record), status);
  switch (effect) {
    case rollout::ReportEffect::aborted:
      return conflict("Deployment aborted");
    case rollout::ReportEffect::decommissioned:
      return conflict("Device decommissioned");
    case rollout::ReportEffect::refused_status:
      return invalid("status: must be a valid value.");
    case rollout::ReportEffect::stored:
    case rollout::ReportEffect::unchanged:
      break;
  }
  // Said twice: the attempt that it is about has ended.
  if (record.state.waits_for_retry) return rollout::ReportEffect::unchanged;
  return effect;
}

Status take_report(WriteTx& tx, std::string_view deployment_id, std::uint32_t device, DeviceStatus status,
                   std::string_view substate, WallTime now) {
  POSTERN_TRY(const auto effect, inspect_report(tx, deployment_id, device, status));
  if (effect == rollout::ReportEffect::unchanged) return {};
  POSTERN_TRY(Deployment deployment, require_deployment(tx, deployment_id));
  POSTERN_TRY(DeviceDeployment record, require_record(tx, deployment, device));
  POSTERN_TRY(DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
  if (!substate.empty()) record.substate = substate;
  if (status == DeviceStatus::failure) ++record.failed_attempts;
  if (status == DeviceStatus::failure && may_retry(deployment.plan, record.failed_attempts)) {
    wait_for_retry(deployment, counts, record, now);
  } else {
    POSTERN_CHECK(move_to(tx, deployment, counts, record, status, now));
  }
  POSTERN_CHECK(tx.change_deployments().put_device(record));
  return tx.change_deployments().put_counts(deployment.ordinal, counts);
}

Status store_log(WriteTx& tx, std::string_view deployment_id, std::uint32_t device, std::string_view text) {
  constexpr std::size_t kLogBytesMax = 1 << 20;
  POSTERN_TRY(const Deployment deployment, require_deployment(tx, deployment_id));
  POSTERN_TRY(DeviceDeployment record, require_record(tx, deployment, device));
  if (text.size() > kLogBytesMax) {
    text.remove_prefix(text.size() - kLogBytesMax);
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);  // up to the next whole line
  }
  POSTERN_CHECK(tx.change_deployments().put_log(deployment.ordinal, device, text));
  if (record.has_log) return {};
  record.has_log = true;
  return tx.change_deployments().put_device(record);
}

Status end_active_deployment(WriteTx& tx, std::uint32_t device, DeviceStatus status, WallTime now) {
  POSTERN_TRY(const DeviceProgress progress, tx.devices().progress(device));
  if (progress.active_deployment == 0) return {};
  POSTERN_TRY(auto deployment, tx.deployments().find_by_ordinal(progress.active_deployment));
  if (!deployment || deployment->finished) return {};
  POSTERN_TRY(DeviceDeployment record, require_record(tx, *deployment, device));
  POSTERN_TRY(DeploymentCounts counts, tx.deployments().counts(deployment->ordinal));
  POSTERN_CHECK(move_to(tx, *deployment, counts, record, status, now));
  POSTERN_CHECK(tx.change_deployments().put_device(record));
  return tx.change_deployments().put_counts(deployment->ordinal, counts);
}

}  // namespace postern::cloud
