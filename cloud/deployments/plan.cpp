#include "cloud/deployments/plan.hpp"

#include <algorithm>
#include <set>

#include "cloud/deployments/situation.hpp"

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
  if (!order.site.empty()) add("site:" + order.site);
  if (!order.filter_json.empty()) add("filter:" + order.filter_json);
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

/// The accepted devices that a deployment without a list means now.
Result<std::uint32_t> count_meant(const ReadTx& tx, const Deployment& deployment) {
  POSTERN_TRY(const auto accepted, tx.devices().accepted());
  std::uint32_t count = 0;
  for (const std::uint32_t ordinal : accepted) {
    POSTERN_TRY(const bool is_meant, is_meant_now(tx, deployment, ordinal));
    count += is_meant ? 1 : 0;
  }
  return count;
}

}  // namespace

Status create_deployment(WriteTx& tx, const DeploymentOrder& order, const std::string& id, WallTime now) {
  POSTERN_TRY(const auto release, tx.artifacts().release(order.artifact_name));
  if (release.empty()) return rejected(Reason::unprocessable, "No artifact for the deployment");
  Deployment deployment;
  deployment.site = order.site;
  deployment.filter_id = order.filter_id;
  deployment.filter_json = order.filter_json;
  std::vector<std::uint32_t> targets;
  if (deployment.is_dynamic()) {
    POSTERN_TRY(deployment.initial_count, count_meant(tx, deployment));
  } else {
    POSTERN_TRY(targets, targets_of(tx, order));
    deployment.initial_count = static_cast<std::uint32_t>(targets.size());
  }
  // Devices of a deployment without a list may come later, except where they have to be divided.
  if (deployment.initial_count == 0 && (!deployment.is_dynamic() || !order.plan.phases.empty())) {
    return invalid("No devices for the deployment");
  }
  deployment.plan = order.plan;
  POSTERN_CHECK(size_phases(deployment.plan.phases, deployment.initial_count));
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
  deployment.stuck_after = order.stuck_after;
  deployment.created = now;
  POSTERN_CHECK(tx.change_deployments().add(deployment, targets));
  DeploymentCounts counts;
  counts.statistics.set(rollout::DeviceStatus::pending, deployment.target_count);
  POSTERN_CHECK(tx.change_deployments().put_counts(deployment.ordinal, counts));
  return audit(tx, "create", order.actor, deployment, now);
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
