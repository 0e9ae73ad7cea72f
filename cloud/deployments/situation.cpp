#include "cloud/deployments/situation.hpp"

#include <algorithm>
#include <ctime>

#include <boost/json.hpp>

#include "cloud/deployments/progress.hpp"
#include "cloud/inventory/filter.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud {
namespace {

namespace json = boost::json;

rollout::ArtifactChoice to_choice(const Artifact& artifact) {
  return {.id = artifact.id,
          .name = artifact.name,
          .device_types = artifact.device_types,
          .depends = artifact.depends,
          .size_bytes = artifact.size_bytes,
          .is_servable = true};
}

/// How far the clocks on this machine's wall are ahead of UTC.
std::chrono::seconds utc_offset(WallTime now) {
  const std::time_t seconds = unix_seconds(now);
  std::tm local{};
  return std::chrono::seconds(localtime_r(&seconds, &local) != nullptr ? local.tm_gmtoff : 0);
}

/// The attributes of one device, for filters: what it reports and what it is known by.
Result<bool> matches_filter(const ReadTx& tx, const std::string& filter_json, std::uint32_t device) {
  POSTERN_TRY(const json::value terms, http::parse_json(filter_json));
  POSTERN_TRY(const Filter filter, parse_filter(terms));
  POSTERN_TRY(const auto found, tx.devices().find_by_ordinal(device));
  if (!found) return false;
  POSTERN_TRY(const Inventory inventory, tx.inventory().get(device));
  POSTERN_TRY(json::value identity, http::parse_json(found->identity));
  if (!identity.is_object()) identity = json::object{};
  identity.get_object()["status"] = to_string(found->status());
  const json::value site(found->presence ? found->presence->place.site : "");
  return matches(filter, [&](Scope scope, std::string_view name) -> const json::value* {
    if (scope == Scope::identity) return identity.get_object().if_contains(name);
    if (scope == Scope::system) return name == "site" ? &site : nullptr;
    if (scope != Scope::inventory) return nullptr;
    const auto attribute = std::ranges::find(inventory.attributes, name, &InventoryAttribute::name);
    return attribute != inventory.attributes.end() ? &attribute->value : nullptr;
  });
}

/// What the plan says; the counts are read only where it says anything.
Result<std::optional<rollout::Hold>> hold_of_device(const ReadTx& tx, const Deployment& deployment,
                                                    std::uint32_t device, rollout::Attempt attempt,
                                                    const DeploymentCounts& counts, WallTime now) {
  rollout::PlanProgress progress{.state = deployment.state,
                                 .started = counts.device_count,
                                 .finished = counts.statistics.finals(),
                                 .running = counts.running};
  if (deployment.plan.concurrent_per_site > 0) {
    POSTERN_TRY(const std::string site, site_of(tx, device));
    const auto at_site = counts.running_at.find(site);
    progress.running_at_site = at_site != counts.running_at.end() ? at_site->second : 0;
  }
  return rollout::hold_of(deployment.plan, progress, attempt, now, utc_offset(now));
}

Status add_plan(const ReadTx& tx, const Deployment& deployment, std::uint32_t device, WallTime now,
                rollout::Candidate& candidate) {
  const bool is_plain = deployment.plan == rollout::Plan{} && deployment.state == rollout::RunState::running;
  const auto& record = candidate.device_deployment;
  if (is_plain || (record && !record->waits_for_retry)) return {};
  POSTERN_TRY(const DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
  candidate.max_devices = deployment.plan.max_devices;
  candidate.device_deployment_count = counts.device_count;
  const auto attempt = record ? rollout::Attempt::retry : rollout::Attempt::first;
  POSTERN_TRY(candidate.hold, hold_of_device(tx, deployment, device, attempt, counts, now));
  return {};
}

Result<rollout::Candidate> to_candidate(const ReadTx& tx, const Deployment& deployment, std::uint32_t device,
                                        const DeviceProgress& progress, WallTime now) {
  rollout::Candidate candidate;
  candidate.deployment_id = deployment.id;
  candidate.order = deployment.ordinal;
  candidate.is_finished = deployment.finished.has_value();
  candidate.force_installation = deployment.force_installation;
  // What it has begun it goes on with, also when it has left the filter meanwhile.
  candidate.is_target = progress.active_deployment == deployment.ordinal;
  if (!candidate.is_target) {
    POSTERN_TRY(candidate.is_target, deployment.is_dynamic()
                                         ? is_meant_now(tx, deployment, device)
                                         : tx.deployments().is_target(deployment.ordinal, device));
  }
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
  POSTERN_CHECK(add_plan(tx, deployment, device, now, candidate));
  return candidate;
}

}  // namespace

std::uint32_t Deployment::device_limit() const {
  if (is_dynamic()) return plan.max_devices;
  return plan.max_devices > 0 ? std::min(plan.max_devices, target_count) : target_count;
}

Result<std::string> site_of(const ReadTx& tx, std::uint32_t device) {
  POSTERN_TRY(const auto found, tx.devices().find_by_ordinal(device));
  return found && found->presence ? found->presence->place.site : std::string();
}

Result<bool> is_meant_now(const ReadTx& tx, const Deployment& deployment, std::uint32_t device) {
  if (!deployment.site.empty()) {
    POSTERN_TRY(const std::string site, site_of(tx, device));
    if (site != deployment.site) return false;
  }
  if (deployment.filter_json.empty()) return true;
  return matches_filter(tx, deployment.filter_json, device);
}

Result<Situation> situation_of(const ReadTx& tx, std::uint32_t device, WallTime now) {
  Situation situation;
  POSTERN_TRY(const DeviceProgress progress, tx.devices().progress(device));
  situation.last_finished = progress.last_finished;
  situation.active = progress.active_deployment;
  POSTERN_TRY(const auto open, tx.deployments().open());
  for (const Deployment& deployment : open) {
    POSTERN_TRY(auto candidate, to_candidate(tx, deployment, device, progress, now));
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
    POSTERN_TRY(auto candidate, to_candidate(tx, *deployment, device, progress, now));
    situation.candidates.push_back(std::move(candidate));
  }
  return situation;
}

Status audit(WriteTx& tx, std::string action, const AuditEntry::Actor& actor, const Deployment& deployment,
             WallTime now) {
  AuditEntry entry{.time = now, .action = std::move(action), .actor = actor};
  entry.object.type = "deployment";
  entry.object.id = deployment.id;
  entry.object.name = deployment.name;
  entry.object.artifact_name = deployment.artifact_name;
  return tx.change_audit().add(std::move(entry));
}

}  // namespace postern::cloud
