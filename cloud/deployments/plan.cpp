#include "cloud/deployments/plan.hpp"

#include <set>

#include "shared/base/bytes.hpp"

namespace postern::cloud {
namespace {

/// Two orders with the same fingerprint are the same deployment; the order of devices counts
/// (management-api 4.7).
std::string fingerprint_of(const DeploymentOrder& order) {
  Sha256 hash;
  const auto add = [&](std::string_view text) {
    const std::string size = fmt::format("{}:", text.size());
    hash.update(as_bytes(size));
    hash.update(as_bytes(text));
  };
  add(order.name);
  add(order.artifact_name);
  add(order.all_devices ? "all" : "listed");
  add(order.force_installation ? "forced" : "");
  if (!order.all_devices) {
    for (const std::string& id : order.device_ids) add(id);
  }
  return to_hex(hash.finish());
}

Result<std::vector<std::uint32_t>> targets_of(WriteTx& tx, const DeploymentOrder& order) {
  if (order.all_devices) return tx.devices().accepted();
  std::set<std::uint32_t> targets;
  for (const std::string& id : order.device_ids) {
    POSTERN_TRY(const std::uint32_t ordinal, tx.change_devices().ordinal_for(id));
    targets.insert(ordinal);
  }
  return std::vector<std::uint32_t>(targets.begin(), targets.end());
}

}  // namespace

Status create_deployment(WriteTx& tx, const DeploymentOrder& order, const std::string& id, WallTime now) {
  POSTERN_TRY(const auto release, tx.artifacts().release(order.artifact_name));
  if (release.empty()) return rejected(Reason::unprocessable, "No artifact for the deployment");
  POSTERN_TRY(const auto targets, targets_of(tx, order));
  if (targets.empty()) return invalid("No devices for the deployment");
  Deployment deployment;
  deployment.fingerprint = fingerprint_of(order);
  POSTERN_TRY(const auto open, tx.deployments().open());
  if (std::ranges::find(open, deployment.fingerprint, &Deployment::fingerprint) != open.end()) {
    return conflict(
        "Invalid deployment definition: there is already an active deployment with the same parameters");
  }
  deployment.id = id;
  deployment.name = order.name;
  deployment.artifact_name = order.artifact_name;
  for (const Artifact& artifact : release) deployment.artifact_ids.push_back(artifact.id);
  deployment.force_installation = order.force_installation;
  deployment.all_devices = order.all_devices;
  deployment.target_count = static_cast<std::uint32_t>(targets.size());
  deployment.created = now;
  POSTERN_CHECK(tx.change_deployments().add(deployment, targets));
  DeploymentCounts counts;
  counts.statistics.set(rollout::DeviceStatus::pending, deployment.target_count);
  return tx.change_deployments().put_counts(deployment.ordinal, counts);
}

Status abort_deployment(WriteTx& tx, std::string_view id, WallTime now) {
  POSTERN_TRY(auto deployment, tx.deployments().find(id));
  if (!deployment || deployment->finished) {
    return rejected(Reason::unprocessable, "Deployment already finished");
  }
  POSTERN_TRY(DeploymentCounts counts, tx.deployments().counts(deployment->ordinal));
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
  deployment->finished = now;
  POSTERN_CHECK(tx.change_deployments().put(*deployment));
  return tx.change_deployments().put_counts(deployment->ordinal, counts);
}

Status join_open_deployments(WriteTx& tx, const Artifact& artifact) {
  POSTERN_TRY(auto open, tx.deployments().open());
  for (Deployment& deployment : open) {
    if (deployment.artifact_name != artifact.name) continue;
    deployment.artifact_ids.push_back(artifact.id);
    POSTERN_CHECK(tx.change_deployments().put(deployment));
  }
  return {};
}

Result<bool> is_in_open_deployment(const ReadTx& tx, std::string_view artifact_id) {
  POSTERN_TRY(const auto open, tx.deployments().open());
  return std::ranges::any_of(open, [&](const Deployment& deployment) {
    return std::ranges::find(deployment.artifact_ids, artifact_id) != deployment.artifact_ids.end();
  });
}

}  // namespace postern::cloud
