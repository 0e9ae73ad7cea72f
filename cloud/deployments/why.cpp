#include "cloud/deployments/why.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "cloud/deployments/progress.hpp"
#include "cloud/deployments/situation.hpp"

namespace postern::cloud {
namespace {

/// Why an unaccepted device gets nothing.
Explanation not_accepted(const Device& device) {
  if (device.conflict) {
    return {.reason = "site-conflict",
            .text = fmt::format(
                "Gateway {} at site \"{}\" asked for another key of this device since {}; accept or "
                "reject the pending key.",
                device.conflict->place.gateway_name, device.conflict->place.site,
                to_rfc3339(device.conflict->at))};
  }
  return {.reason = "not-accepted",
          .text = fmt::format("The device is {}, and only accepted devices get updates; accept it.",
                              to_string(device.status()))};
}

/// What the device would report, as far as it is known.
Result<std::optional<rollout::Device>> known_report(const ReadTx& tx, std::uint32_t device,
                                                    const std::optional<Polls::Poll>& poll) {
  if (poll) return poll->report;
  POSTERN_TRY(const Inventory inventory, tx.inventory().get(device));
  const auto text = [&](std::string_view name) -> std::string {
    const auto found = std::ranges::find(inventory.attributes, name, &InventoryAttribute::name);
    if (found == inventory.attributes.end() || !found->value.is_string()) return {};
    return std::string(found->value.get_string());
  };
  rollout::Device report{
      .device_type = text("device_type"), .artifact_name = text("artifact_name"), .provides = {}};
  if (report.device_type.empty()) return std::nullopt;
  return report;
}

std::string last_seen(const std::optional<Polls::Poll>& poll) {
  return poll ? "it has not asked since " + to_rfc3339(poll->at)
              : std::string("it has not asked since this server started");
}

/// The device is in the middle of an update.
Result<std::optional<Explanation>> busy(const ReadTx& tx, std::uint32_t device, std::uint32_t active) {
  if (active == 0) return std::nullopt;
  POSTERN_TRY(const auto deployment, tx.deployments().find_by_ordinal(active));
  POSTERN_TRY(const auto record, tx.deployments().find_device(active, device));
  if (!deployment || !record || deployment->finished || record->state.waits_for_retry) return std::nullopt;
  return Explanation{
      .reason = "busy",
      .text = fmt::format(
          "The device has been {} in deployment \"{}\" since {}; it goes on when the device reports, "
          "and another deployment comes once this one has ended for it.",
          rollout::to_string(record->state.status), deployment->name,
          to_rfc3339(record->changed.value_or(record->created))),
      .deployment_id = deployment->id,
      .deployment_name = deployment->name};
}

/// Nothing is open for the device: what ended last, or that nobody means it.
Result<Explanation> nothing_open(const ReadTx& tx, std::uint32_t device, std::size_t open_count) {
  POSTERN_TRY(const auto ordinals, tx.deployments().deployments_of(device));
  if (ordinals.empty()) {
    return Explanation{
        .reason = "not-targeted",
        .text = fmt::format("None of the {} unfinished deployments means this device; create one that does.",
                            open_count)};
  }
  POSTERN_TRY(const auto last, tx.deployments().find_by_ordinal(ordinals.back()));
  POSTERN_TRY(const auto record, tx.deployments().find_device(ordinals.back(), device));
  if (!last || !record) return corrupt(fmt::format("the last deployment of device {} is gone", device));
  const auto status = effective_status(*last, *record);
  return Explanation{
      .reason = status == rollout::DeviceStatus::already_installed ? "already-installed" : "ended-for-device",
      .text = fmt::format(
          "The device's last deployment, \"{}\", ended with {}{}; only a new deployment reaches it.",
          last->name, rollout::to_string(status),
          record->finished ? " at " + to_rfc3339(*record->finished) : std::string()),
      .deployment_id = last->id,
      .deployment_name = last->name};
}

/// The device would be given the deployment at its next poll.
Explanation waits_for_poll(const rollout::Candidate& candidate, const rollout::Device& report,
                           const std::optional<Polls::Poll>& poll) {
  const rollout::ArtifactChoice* artifact = rollout::smallest_fitting(candidate, report);
  const auto unmet =
      artifact != nullptr ? rollout::unmet_depends(*artifact, report) : std::vector<std::string>{};
  if (unmet.empty()) {
    return {.reason = "not-seen-since",
            .text = fmt::format("The device gets the deployment at its next poll; {}.", last_seen(poll))};
  }
  return {.reason = "depends-not-met",
          .text = fmt::format(
              "The device gets the deployment at its next poll, but will refuse its artifact: {}.",
              fmt::join(unmet, "; "))};
}

Status name_deployment(const ReadTx& tx, std::string id, Explanation& explanation) {
  POSTERN_TRY(const auto deployment, tx.deployments().find(id));
  explanation.deployment_id = std::move(id);
  if (deployment) explanation.deployment_name = deployment->name;
  return {};
}

std::string deployment_of(const rollout::Decision& decision) {
  return std::visit([](const auto& each) { return each.deployment_id; }, decision);
}

}  // namespace

Result<Explanation> explain(const ReadTx& tx, std::string_view device_id,
                            const std::optional<Polls::Poll>& poll, WallTime now) {
  POSTERN_TRY(const auto device, tx.devices().find(device_id));
  if (!device) return not_found("Device not found");
  if (device->status() != AuthStatus::accepted) return not_accepted(*device);
  POSTERN_TRY(const Situation situation, situation_of(tx, device->ordinal, now));
  POSTERN_TRY(const auto report, known_report(tx, device->ordinal, poll));
  const auto selection = rollout::select(
      {.device = report.value_or(rollout::Device{}), .last_finished = situation.last_finished},
      situation.candidates, {}, rollout::Explain::yes);
  Explanation explanation;
  const std::string id = deployment_of(selection.decision);
  POSTERN_TRY(auto busy_with, busy(tx, device->ordinal, situation.active));
  if (busy_with) {
    explanation = *std::move(busy_with);
  } else if (id.empty()) {
    POSTERN_TRY(explanation, nothing_open(tx, device->ordinal, situation.candidates.size()));
  } else {
    const auto about = std::ranges::find(selection.considered, id, &rollout::Considered::deployment_id);
    const auto candidate = std::ranges::find(situation.candidates, id, &rollout::Candidate::deployment_id);
    if (!report) {
      explanation.reason = "not-seen-since";
      explanation.text = fmt::format("The device has said nothing about itself yet; {}.", last_seen(poll));
    } else if (std::holds_alternative<rollout::Offer>(selection.decision)) {
      explanation = waits_for_poll(*candidate, *report, poll);
    } else {
      explanation.reason = rollout::to_string(about->reason);
      explanation.text = about->text;
    }
    POSTERN_CHECK(name_deployment(tx, id, explanation));
  }
  explanation.considered = selection.considered;
  return explanation;
}

Result<std::vector<StuckDevice>> stuck_devices(const ReadTx& tx, std::chrono::seconds otherwise,
                                               std::size_t count_max, WallTime now) {
  std::vector<StuckDevice> stuck;
  POSTERN_TRY(const auto open, tx.deployments().open());
  for (const Deployment& deployment : open) {
    POSTERN_TRY(const DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
    if (counts.running == 0) continue;
    const auto allowed = deployment.stuck_after.count() > 0 ? deployment.stuck_after : otherwise;
    POSTERN_TRY(const auto records, tx.deployments().devices_of(deployment.ordinal));
    for (const DeviceDeployment& record : records) {
      const WallTime since = record.changed.value_or(record.created);
      if (!rollout::is_active(record.state.status) || record.state.waits_for_retry) continue;
      if (now - since < allowed) continue;
      if (stuck.size() == count_max) return stuck;
      POSTERN_TRY(const auto id, tx.devices().id_of(record.device));
      if (!id) return corrupt(fmt::format("device {} has no id", record.device));
      stuck.push_back({.device_id = *id,
                       .deployment_id = deployment.id,
                       .deployment_name = deployment.name,
                       .status = record.state.status,
                       .substate = record.substate,
                       .since = since});
    }
  }
  return stuck;
}

}  // namespace postern::cloud
