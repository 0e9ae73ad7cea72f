#include <algorithm>

#include "cloud/deployments/plan.hpp"
#include "cloud/deployments/progress.hpp"
#include "cloud/deployments/situation.hpp"

namespace postern::cloud {
namespace {

Result<Deployment> require_open(const ReadTx& tx, std::string_view id) {
  POSTERN_TRY(auto deployment, tx.deployments().find(id));
  if (!deployment || deployment->finished) {
    return rejected(Reason::unprocessable, "Deployment already finished");
  }
  return *std::move(deployment);
}

Result<std::uint32_t> require_device(const ReadTx& tx, std::string_view device_id) {
  POSTERN_TRY(const auto ordinal, tx.devices().ordinal_of(device_id));
  if (!ordinal) return not_found("Resource not found");
  return *ordinal;
}

Status audit_device(WriteTx& tx, std::string action, const AuditEntry::Actor& actor,
                    std::string_view device_id, std::string change, WallTime now) {
  AuditEntry entry{.time = now, .action = std::move(action), .actor = actor};
  entry.object.type = "device";
  entry.object.id = device_id;
  entry.change = std::move(change);
  return tx.change_audit().add(std::move(entry));
}

}  // namespace

Status abort_deployment(WriteTx& tx, std::string_view id, const AuditEntry::Actor& actor, WallTime now) {
  POSTERN_TRY(Deployment deployment, require_open(tx, id));
  POSTERN_TRY(DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
  // Devices in it that are not done become aborted; targets that never asked are counted nowhere
  // (management-api 4.8).
  const std::uint32_t ended = counts.statistics.finals();
  const std::uint32_t busy = counts.device_count > ended ? counts.device_count - ended : 0;
  for (std::size_t i = 0; i < rollout::kDeviceStatusCount; ++i) {
    const auto status = static_cast<rollout::DeviceStatus>(i);
    if (rollout::is_active(status)) counts.statistics.set(status, 0);
  }
  counts.statistics.set(rollout::DeviceStatus::aborted,
                        counts.statistics.count(rollout::DeviceStatus::aborted) + busy);
  counts.running = 0;
  counts.running_at.clear();
  deployment.finished = now;
  POSTERN_CHECK(tx.change_deployments().put(deployment));
  POSTERN_CHECK(tx.change_deployments().put_counts(deployment.ordinal, counts));
  return audit(tx, "abort", actor, deployment, now);
}

Status pause_deployment(WriteTx& tx, std::string_view id, const AuditEntry::Actor& actor, WallTime now) {
  POSTERN_TRY(Deployment deployment, require_open(tx, id));
  if (deployment.state == rollout::RunState::paused) return {};
  deployment.state = rollout::RunState::paused;
  deployment.state_since = now;
  POSTERN_CHECK(tx.change_deployments().put(deployment));
  return audit(tx, "pause", actor, deployment, now);
}

Status resume_deployment(WriteTx& tx, std::string_view id, const AuditEntry::Actor& actor, WallTime now) {
  POSTERN_TRY(Deployment deployment, require_open(tx, id));
  if (deployment.state == rollout::RunState::running) {
    const auto waiting = std::ranges::find(deployment.plan.phases, true, &rollout::Phase::waits_for_resume);
    if (waiting == deployment.plan.phases.end()) return {};
    waiting->waits_for_resume = false;
    if (!waiting->start) waiting->start = now;
  } else {
    POSTERN_TRY(DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
    counts.outcomes = {};
    POSTERN_CHECK(tx.change_deployments().put_counts(deployment.ordinal, counts));
    deployment.state = rollout::RunState::running;
    deployment.state_since = now;
  }
  POSTERN_CHECK(tx.change_deployments().put(deployment));
  return audit(tx, "resume", actor, deployment, now);
}

Status abort_device(WriteTx& tx, std::string_view device_id, const AuditEntry::Actor& actor, WallTime now) {
  POSTERN_TRY(const std::uint32_t device, require_device(tx, device_id));
  POSTERN_CHECK(end_active_deployment(tx, device, rollout::DeviceStatus::aborted, now));
  return audit_device(tx, "abort", actor, device_id, "deployment of the device", now);
}

Status hide_history(WriteTx& tx, std::string_view device_id, const AuditEntry::Actor& actor, WallTime now) {
  POSTERN_TRY(const std::uint32_t device, require_device(tx, device_id));
  POSTERN_TRY(const auto deployments, tx.deployments().deployments_of(device));
  for (const std::uint32_t ordinal : deployments) {
    POSTERN_TRY(const auto deployment, tx.deployments().find_by_ordinal(ordinal));
    POSTERN_TRY(auto record, tx.deployments().find_device(ordinal, device));
    if (!deployment || !record || record->is_hidden) continue;
    if (rollout::is_active(effective_status(*deployment, *record))) continue;
    record->is_hidden = true;
    POSTERN_CHECK(tx.change_deployments().put_device(*record));
  }
  return audit_device(tx, "delete", actor, device_id, "deployment history of the device", now);
}

}  // namespace postern::cloud
