#include "cloud/api/management/deployment_json.hpp"

#include <algorithm>

#include "cloud/api/management/artifacts.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {

namespace json = boost::json;
using rollout::DeviceStatus;

namespace {

json::array phases_of(const Deployment& deployment, const DeploymentCounts& counts) {
  json::array phases;
  std::uint32_t left = counts.device_count;
  for (const rollout::Phase& phase : deployment.plan.phases) {
    const bool is_last = &phase == &deployment.plan.phases.back();
    const std::uint32_t begun = is_last ? left : std::min(left, phase.size);
    left -= begun;
    json::object object{{"id", phase.id}, {"device_count", begun}};
    if (phase.percent > 0) object["batch_size"] = phase.percent;
    if (phase.start) object["start_ts"] = to_rfc3339(*phase.start);
    object["postern"] = json::object{{"devices", phase.size}, {"paused", phase.waits_for_resume}};
    phases.push_back(std::move(object));
  }
  return phases;
}

json::object stop_rule_of(const rollout::StopRule& rule) {
  json::object object;
  if (rule.failures > 0) object["failures"] = rule.failures;
  if (rule.percent > 0) object["percent"] = rule.percent;
  if (rule.last > 0) object["last"] = rule.last;
  if (rule.within.count() > 0) object["within_seconds"] = rule.within.count();
  object["sample_min"] = rule.sample_min;
  return object;
}

void add_plan(json::object& object, const Deployment& deployment, const DeploymentCounts& counts) {
  const rollout::Plan& plan = deployment.plan;
  if (!plan.phases.empty()) object["phases"] = phases_of(deployment, counts);
  if (plan.retries > 0) object["retries"] = plan.retries;
  if (deployment.is_dynamic()) {
    object["dynamic"] = true;
    object["initial_device_count"] = deployment.initial_count;
  }
  if (!deployment.filter_json.empty()) {
    auto terms = http::parse_json(deployment.filter_json);
    object["filter"] = json::object{
        {"id", deployment.filter_id}, {"name", ""}, {"terms", terms ? *std::move(terms) : json::array{}}};
  }
  json::object ours{{"state", rollout::to_string(deployment.state)}, {"running", counts.running}};
  if (deployment.state_since) ours["state_since"] = to_rfc3339(*deployment.state_since);
  if (!deployment.site.empty()) ours["site"] = deployment.site;
  if (!plan.stop.is_off()) ours["stop_on"] = stop_rule_of(plan.stop);
  if (!plan.windows.is_always_open()) {
    ours["windows"] = json::array(plan.windows.texts().begin(), plan.windows.texts().end());
  }
  if (plan.concurrent > 0) ours["concurrent"] = plan.concurrent;
  if (plan.concurrent_per_site > 0) ours["concurrent_per_site"] = plan.concurrent_per_site;
  if (deployment.stuck_after.count() > 0) ours["stuck_after_seconds"] = deployment.stuck_after.count();
  object["postern"] = std::move(ours);
}

}  // namespace

json::object to_json(const rollout::Statistics& statistics) {
  json::object counts;
  for (std::size_t i = 0; i < rollout::kDeviceStatusCount; ++i) {
    const auto status = static_cast<DeviceStatus>(i);
    counts[rollout::to_string(status)] = statistics.count(status);
  }
  return counts;
}

json::object to_json(const Deployment& deployment, const DeploymentCounts& counts) {
  const auto status =
      counts.statistics.deployment_status(deployment.target_count, deployment.finished.has_value());
  json::object object{
      {"id", deployment.id},
      {"name", deployment.name},
      {"artifact_name", deployment.artifact_name},
      {"created", to_rfc3339(deployment.created)},
      {"status", rollout::to_string(status)},
      {"device_count", counts.device_count},
      {"max_devices", deployment.is_dynamic() ? deployment.plan.max_devices : deployment.target_count},
      {"artifacts", json::array(deployment.artifact_ids.begin(), deployment.artifact_ids.end())},
      {"type", "software"},
      {"statistics", {{"status", to_json(counts.statistics)}, {"total_size", counts.total_size_bytes}}}};
  if (deployment.finished) object["finished"] = to_rfc3339(*deployment.finished);
  if (deployment.force_installation) object["force_installation"] = true;
  add_plan(object, deployment, counts);
  return object;
}

Result<json::object> to_json(const DeviceRow& row, const Deployment& deployment) {
  const DeviceDeployment& record = row.record;
  json::object object{{"id", row.device_id},
                      {"status", rollout::to_string(row.status)},
                      {"created", to_rfc3339(record.created)},
                      {"log", record.has_log}};
  if (!record.substate.empty()) object["substate"] = record.substate;
  if (record.started) object["started"] = to_rfc3339(*record.started);
  const bool is_cut_short = rollout::is_final(row.status) && !record.finished;
  const auto finished = is_cut_short ? deployment.finished : record.finished;
  if (finished) object["finished"] = to_rfc3339(*finished);
  if (!row.artifact) return object;
  POSTERN_TRY(object["image"], management::to_json(*row.artifact));
  return object;
}

Result<std::function<bool(DeviceStatus)>> parse_device_filter(const http::QueryParameters& query) {
  const auto word = http::find_parameter(query, "status").value_or("");
  if (word.empty()) return [](DeviceStatus) { return true; };
  if (word == "active") return [](DeviceStatus status) { return rollout::is_active(status); };
  if (word == "finished") return [](DeviceStatus status) { return rollout::is_final(status); };
  if (word == "pause") {
    return [](DeviceStatus status) { return rollout::to_string(status).starts_with("pause_"); };
  }
  const auto wanted = rollout::parse_device_status(word);
  if (!wanted) return invalid(fmt::format("unknown status {}", word));
  return [wanted](DeviceStatus status) { return status == *wanted; };
}

Result<AuditEntry::Actor> actor_of(const ReadTx& tx, const Session& session) {
  POSTERN_TRY(const auto user, tx.users().find(session.user_id));
  return AuditEntry::Actor{
      .type = "user", .id = session.user_id, .email = user ? user->email : std::string(), .identity = {}};
}

}  // namespace postern::cloud::management
