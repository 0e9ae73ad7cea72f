#include "cloud/deployments/progress.hpp"

#include <algorithm>

namespace postern::cloud {
namespace {

using rollout::DeviceStatus;

rollout::ArtifactChoice to_choice(const Artifact& artifact) {
  return {.id = artifact.id,
          .name = artifact.name,
          .device_types = artifact.device_types,
          .depends = artifact.depends,
          .size_bytes = artifact.size_bytes,
          .is_servable = true};
}

Result<rollout::Candidate> to_candidate(const ReadTx& tx, const Deployment& deployment,
                                        std::uint32_t device) {
  rollout::Candidate candidate;
  candidate.deployment_id = deployment.id;
  candidate.order = deployment.ordinal;
  candidate.is_finished = deployment.finished.has_value();
  candidate.force_installation = deployment.force_installation;
  POSTERN_TRY(candidate.is_target, tx.deployments().is_target(deployment.ordinal, device));
  if (!candidate.is_target) return candidate;
  POSTERN_TRY(const auto existing, tx.deployments().find_device(deployment.ordinal, device));
  if (existing) {
    candidate.device_deployment = existing->state;
    candidate.device_deployment->status = effective_status(deployment, *existing);
  }
  for (const std::string& id : deployment.artifact_ids) {
    POSTERN_TRY(const auto artifact, tx.artifacts().find(id));
    if (artifact) candidate.artifacts.push_back(to_choice(*artifact));
  }
  return candidate;
}

struct Situation {
  std::vector<rollout::Candidate> candidates;
  std::uint64_t last_finished = 0;
};

/// Everything that rollout::select needs to know about one device.
Result<Situation> situation_of(const ReadTx& tx, std::uint32_t device) {
  Situation situation;
  POSTERN_TRY(const DeviceProgress progress, tx.devices().progress(device));
  situation.last_finished = progress.last_finished;
  POSTERN_TRY(const auto open, tx.deployments().open());
  for (const Deployment& deployment : open) {
    POSTERN_TRY(auto candidate, to_candidate(tx, deployment, device));
    situation.candidates.push_back(std::move(candidate));
  }
  const auto is_listed = [&](std::uint64_t order) {
    return std::ranges::find(situation.candidates, order, &rollout::Candidate::order) !=
           situation.candidates.end();
  };
  if (progress.active_deployment != 0 && !is_listed(progress.active_deployment)) {
    // Finished meanwhile: aborted, which ended it for this device too.
    POSTERN_TRY(const auto deployment, tx.deployments().find_by_ordinal(progress.active_deployment));
    if (!deployment)
      return corrupt(fmt::format("deployment {} of device {} is gone", progress.active_deployment, device));
    POSTERN_TRY(auto candidate, to_candidate(tx, *deployment, device));
    situation.candidates.push_back(std::move(candidate));
  }
  return situation;
}

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
};

Consequence consequence_of(const rollout::Decision& decision) {
  return std::visit(
      Overloaded{[](const rollout::Nothing&) { return Consequence{}; },
                 [](const rollout::Offer& offer) {
                   return Consequence{
                       offer.deployment_id, offer.artifact_id, offer.is_new, offer.assigns_artifact, {}};
                 },
                 [](const rollout::AlreadyInstalled& installed) {
                   return Consequence{installed.deployment_id, installed.artifact_id, installed.is_new,
                                      installed.assigns_artifact, DeviceStatus::already_installed};
                 },
                 [](const rollout::NoArtifact& none) {
                   return Consequence{none.deployment_id, "", none.is_new, false, DeviceStatus::noartifact};
                 },
                 [](const rollout::Conflict& conflicting) {
                   return Consequence{conflicting.deployment_id, "", false, false, DeviceStatus::failure};
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

/// Moves one record to `status` and everything that hangs on it: the counts, the device's progress, and the
/// deployment's end when this was its last device.
Status move_to(WriteTx& tx, Deployment& deployment, DeploymentCounts& counts, DeviceDeployment& record,
               DeviceStatus status, WallTime now) {
  if (record.state.status == status) return {};
  counts.statistics.move(record.state.status, status);
  record.state.status = status;
  if (!record.started) record.started = now;
  if (rollout::is_active(status)) return {};
  record.finished = now;
  POSTERN_TRY(DeviceProgress progress, tx.devices().progress(record.device));
  if (progress.active_deployment == deployment.ordinal) progress.active_deployment = 0;
  progress.last_finished = std::max(progress.last_finished, deployment.ordinal);
  POSTERN_CHECK(tx.change_devices().put_progress(record.device, progress));
  if (counts.statistics.finals() >= deployment.target_count && !deployment.finished) {
    deployment.finished = now;
    POSTERN_CHECK(tx.change_deployments().put(deployment));
  }
  return {};
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
    POSTERN_TRY(DeviceProgress progress, tx.devices().progress(device));
    progress.active_deployment = deployment.ordinal;
    POSTERN_CHECK(tx.change_devices().put_progress(device, progress));
  }
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

Result<PollOutcome> inspect_poll(const ReadTx& tx, std::uint32_t device, const rollout::Device& report) {
  POSTERN_TRY(const Situation situation, situation_of(tx, device));
  const auto selection =
      rollout::select({.device = report, .last_finished = situation.last_finished}, situation.candidates, {});
  PollOutcome outcome{.decision = selection.decision};
  const Consequence consequence = consequence_of(selection.decision);
  if (consequence.deployment_id.empty()) return outcome;
  outcome.must_store = consequence.is_new || consequence.assigns_artifact || consequence.status.has_value();
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
  POSTERN_TRY(PollOutcome outcome, inspect_poll(tx, device, report));
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
  POSTERN_CHECK(move_to(tx, deployment, counts, record, status, now));
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
