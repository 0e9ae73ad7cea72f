#include "cloud/api/management/rollouts.hpp"

#include <boost/json.hpp>

#include "cloud/api/management/deployment_json.hpp"
#include "cloud/api/management/paging.hpp"
#include "cloud/deployments/plan.hpp"
#include "cloud/deployments/progress.hpp"
#include "cloud/deployments/why.hpp"
#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyBytesMax = 64 << 10;
constexpr std::size_t kIdsMax = 100;
constexpr std::size_t kHistoryPageMax = 20;
constexpr std::size_t kHistoryMax = 10'000;
constexpr std::size_t kStuckMax = 1000;

Result<std::vector<std::string>> decode_ids(const json::value& body) {
  const auto wrong = [](std::string_view what) {
    return invalid(fmt::format("Validating request body: deployment_ids: {}", what));
  };
  const json::value* member = body.is_object() ? body.get_object().if_contains("deployment_ids") : nullptr;
  if (member == nullptr || !member->is_array()) return wrong("must be an array of deployment ids");
  if (member->get_array().size() > kIdsMax) return wrong("the length must be between 1 and 100.");
  std::vector<std::string> ids;
  for (const json::value& id : member->get_array()) {
    if (!id.is_string() || !is_uuid(std::string_view(id.get_string()))) return wrong("must be valid UUIDs");
    ids.emplace_back(id.get_string());
  }
  return ids;
}

json::object to_json(const Explanation& explanation) {
  json::object object{{"reason", explanation.reason}, {"text", explanation.text}};
  if (!explanation.deployment_id.empty()) {
    object["deployment"] =
        json::object{{"id", explanation.deployment_id}, {"name", explanation.deployment_name}};
  }
  json::array considered;
  for (const rollout::Considered& each : explanation.considered) {
    considered.push_back(json::object{{"deployment_id", each.deployment_id},
                                      {"reason", rollout::to_string(each.reason)},
                                      {"text", each.text}});
  }
  object["considered"] = std::move(considered);
  return object;
}

json::object to_json(const StuckDevice& device) {
  json::object object{
      {"id", device.device_id},
      {"status", rollout::to_string(device.status)},
      {"since", to_rfc3339(device.since)},
      {"deployment", json::object{{"id", device.deployment_id}, {"name", device.deployment_name}}}};
  if (!device.substate.empty()) object["substate"] = device.substate;
  return object;
}

/// One deployment of a device, as its history shows it.
Result<json::object> history_item(const ReadTx& tx, const std::string& device_id,
                                  const Deployment& deployment, DeviceDeployment record) {
  POSTERN_TRY(const DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
  DeviceRow row{.device_id = device_id, .record = std::move(record), .status = {}, .artifact = {}};
  row.status = effective_status(deployment, row.record);
  if (row.record.state.artifact_id) {
    POSTERN_TRY(row.artifact, tx.artifacts().find(*row.record.state.artifact_id));
  }
  POSTERN_TRY(json::object device, management::to_json(row, deployment));
  return json::object{{"id", fmt::format("{}-{}", deployment.id, device_id)},
                      {"deployment", management::to_json(deployment, counts)},
                      {"device", std::move(device)}};
}

}  // namespace

void Rollouts::add_routes(http::Router& router, Gate& gate) {
  const std::string base = "/api/management/v1/deployments/deployments";
  const auto add_for_user = [&](std::string_view method, const std::string& path,
                                Answer (Rollouts::*handler)(http::Request&, const Session&)) {
    router.add(method, path, gate.for_users([this, handler](http::Request& request, const Session& session) {
      return (this->*handler)(request, session);
    }));
  };
  add_for_user("DELETE", base + "/devices/{device}", &Rollouts::abort_device);
  add_for_user("DELETE", base + "/devices/{device}/history", &Rollouts::hide_history);
  gate.add(router, "POST", base + "/statistics/list", *this, &Rollouts::statistics);
  gate.add(router, "GET", base + "/devices/{device}", *this, &Rollouts::history);
  gate.add(router, "GET", "/api/management/v1/deployments/devices/{device}/why", *this, &Rollouts::why);
  gate.add(router, "GET", "/api/management/v1/deployments/stuck", *this, &Rollouts::stuck);
}

Rollouts::Answer Rollouts::statistics(http::Request& request) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  POSTERN_CO_TRY(const auto ids, decode_ids(body));
  if (ids.empty()) co_return http::json_answer(200, json::object{});
  json::array items;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    for (const std::string& id : ids) {
      POSTERN_TRY(const auto deployment, tx.deployments().find(id));
      if (!deployment) continue;
      POSTERN_TRY(const DeploymentCounts counts, tx.deployments().counts(deployment->ordinal));
      items.push_back(json::object{{"id", id}, {"stats", management::to_json(counts.statistics)}});
    }
    return {};
  }));
  if (items.empty()) co_return not_found("Deployment not found");
  co_return http::json_answer(200, items);
}

Rollouts::Answer Rollouts::why(http::Request& request) {
  const std::string& id = request.parameter("device");
  json::object body;
  POSTERN_CO_CHECK(co_await store_.read([&, now = clock_.wall()](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto ordinal, tx.devices().ordinal_of(id));
    const auto poll = ordinal ? polls_.find(*ordinal) : std::nullopt;
    POSTERN_TRY(const Explanation explanation, explain(tx, id, poll, now));
    body = to_json(explanation);
    if (poll) body["last_poll"] = to_rfc3339(poll->at);
    return {};
  }));
  body["device"] = id;
  co_return http::json_answer(200, body);
}

Rollouts::Answer Rollouts::stuck(http::Request&) {
  json::array items;
  POSTERN_CO_CHECK(co_await store_.read([&, now = clock_.wall()](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto devices, stuck_devices(tx, options_.stuck_after, kStuckMax, now));
    for (const StuckDevice& device : devices) items.push_back(to_json(device));
    return {};
  }));
  co_return http::json_answer(200, items);
}

Rollouts::Answer Rollouts::history(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query));
  if (page.size > kHistoryPageMax) {
    co_return invalid("invalid per_page query: value must be a non-zero positive integer");
  }
  POSTERN_CO_TRY(const auto is_wanted, parse_device_filter(query));
  const std::string& id = request.parameter("device");
  json::array items;
  std::size_t total = 0;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto device, tx.devices().ordinal_of(id));
    if (!device) return {};
    POSTERN_TRY(auto ordinals, tx.deployments().deployments_of(*device));
    std::ranges::reverse(ordinals);
    for (const std::uint32_t ordinal : ordinals) {
      POSTERN_TRY(const auto deployment, tx.deployments().find_by_ordinal(ordinal));
      POSTERN_TRY(const auto record, tx.deployments().find_device(ordinal, *device));
      if (!deployment || !record || record->is_hidden) continue;
      if (!is_wanted(effective_status(*deployment, *record))) continue;
      if (total >= page.skip() && items.size() < page.size) {
        POSTERN_TRY(auto item, history_item(tx, id, *deployment, *record));
        items.push_back(std::move(item));
      }
      if (++total == kHistoryMax) break;
    }
    return {};
  }));
  http::Response answer = http::json_answer(200, items);
  add_total(answer, request, query, page, total);
  co_return answer;
}

Rollouts::Answer Rollouts::abort_device(http::Request& request, const Session& session) {
  const std::string& id = request.parameter("device");
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const AuditEntry::Actor actor, actor_of(tx, session));
    return cloud::abort_device(tx, id, actor, now);
  }));
  co_return http::Response::empty(204);
}

Rollouts::Answer Rollouts::hide_history(http::Request& request, const Session& session) {
  const std::string& id = request.parameter("device");
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const AuditEntry::Actor actor, actor_of(tx, session));
    return cloud::hide_history(tx, id, actor, now);
  }));
  co_return http::Response::empty(204);
}

}  // namespace postern::cloud::management
