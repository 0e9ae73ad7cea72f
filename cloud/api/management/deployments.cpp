#include "cloud/api/management/deployments.hpp"

#include <charconv>

#include <boost/json.hpp>

#include "cloud/api/management/artifacts.hpp"
#include "cloud/api/management/paging.hpp"
#include "cloud/deployments/plan.hpp"
#include "cloud/deployments/progress.hpp"
#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;
using rollout::DeviceStatus;

constexpr std::string_view kDeployments = "/api/management/v1/deployments/deployments";
/// Room for a list of about 200,000 devices.
constexpr std::size_t kOrderBytesMax = 8 << 20;
constexpr std::size_t kBodyBytesMax = 64 << 10;
constexpr std::size_t kNameCharactersMax = 256;
constexpr std::size_t kArtifactNameCharactersMax = 4096;

Error refusal(std::string_view what) {
  return invalid(fmt::format("Validating request body: {}", what));
}

Result<bool> flag_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return false;
  if (!value->is_bool()) return refusal(fmt::format("{} is not a boolean", name));
  return value->get_bool();
}

Status check_name(std::string_view field, const std::string& name, std::size_t characters_max) {
  if (name.empty()) return refusal(fmt::format("{}: cannot be blank.", field));
  if (name.size() <= characters_max) return {};
  return refusal(fmt::format("{}: the length must be between 1 and {}.", field, characters_max));
}

Result<std::vector<std::string>> devices_member(const json::object& object) {
  const json::value* value = object.if_contains("devices");
  if (value == nullptr || value->is_null()) return std::vector<std::string>{};
  if (!value->is_array()) return refusal("devices: must be an array of device ids");
  std::vector<std::string> ids;
  for (const json::value& id : value->get_array()) {
    if (!id.is_string() || id.get_string().empty() || id.get_string().size() > kNameCharactersMax) {
      return refusal("devices: must be an array of device ids");
    }
    ids.emplace_back(id.get_string());
  }
  return ids;
}

/// Members that belong to later features are taken and ignored, as the reference server does
/// (management-api 4.7).
Result<DeploymentOrder> decode_order(const json::value& body) {
  const json::object* object = body.if_object();
  if (object == nullptr) return refusal("not a JSON object");
  DeploymentOrder order;
  POSTERN_TRY(order.name, http::string_member(*object, "name"));
  POSTERN_TRY(order.artifact_name, http::string_member(*object, "artifact_name"));
  POSTERN_TRY(order.device_ids, devices_member(*object));
  POSTERN_TRY(order.all_devices, flag_member(*object, "all_devices"));
  POSTERN_TRY(order.force_installation, flag_member(*object, "force_installation"));
  POSTERN_CHECK(check_name("name", order.name, kNameCharactersMax));
  POSTERN_CHECK(check_name("artifact_name", order.artifact_name, kArtifactNameCharactersMax));
  if (order.all_devices && !order.device_ids.empty()) {
    return refusal("list of devices provided togheter with all_devices flag");
  }
  if (!order.all_devices && order.device_ids.empty()) {
    return refusal("Invalid deployments definition: provide list of devices or set all_devices flag");
  }
  return order;
}

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
      {"max_devices", deployment.target_count},
      {"artifacts", json::array(deployment.artifact_ids.begin(), deployment.artifact_ids.end())},
      {"type", "software"},
      {"statistics", {{"status", to_json(counts.statistics)}, {"total_size", counts.total_size_bytes}}}};
  if (deployment.finished) object["finished"] = to_rfc3339(*deployment.finished);
  if (deployment.force_installation) object["force_installation"] = true;
  return object;
}

Result<Deployment> require(const ReadTx& tx, std::string_view id, std::string_view otherwise) {
  POSTERN_TRY(auto deployment, tx.deployments().find(id));
  if (!deployment) return not_found(std::string(otherwise));
  return *std::move(deployment);
}

Result<std::optional<std::int64_t>> parse_time(const http::QueryParameters& query, std::string_view name) {
  const auto text = http::find_parameter(query, name);
  if (!text) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc{} || end != text->data() + text->size()) {
    return invalid(fmt::format("timestamp parsing failed for {}: invalid timestamp: {}", name, *text));
  }
  return seconds;
}

Result<DeploymentFilter> parse_filter(const http::QueryParameters& query) {
  DeploymentFilter filter;
  if (const auto word = http::find_parameter(query, "status"); word && !word->empty()) {
    filter.status = rollout::parse_deployment_status(*word == "aborted" ? "finished" : *word);
    if (!filter.status) return invalid(fmt::format("unknown status {}", *word));
  }
  if (const auto type = http::find_parameter(query, "type"); type && *type == "configuration") {
    filter.matches_nothing = true;
  } else if (type && *type != "software") {
    return invalid(fmt::format("unknown deployment type {}", *type));
  }
  filter.search = http::find_parameter(query, "search").value_or("");
  POSTERN_TRY(filter.created_after, parse_time(query, "created_after"));
  POSTERN_TRY(filter.created_before, parse_time(query, "created_before"));
  const auto sort = http::find_parameter(query, "sort").value_or("desc");
  if (sort != "asc" && sort != "desc")
    return invalid("invalid form value: must be one of \"asc\" or \"desc\"");
  filter.oldest_first = sort == "asc";
  return filter;
}

/// A device deployment as others see it.
struct DeviceRow {
  std::string device_id;
  DeviceDeployment record;
  DeviceStatus status;
  std::optional<Artifact> artifact;
};

Result<std::vector<DeviceRow>> device_rows(const ReadTx& tx, const Deployment& deployment) {
  POSTERN_TRY(auto records, tx.deployments().devices_of(deployment.ordinal));
  std::map<std::string, std::optional<Artifact>> artifacts;
  std::vector<DeviceRow> rows;
  for (DeviceDeployment& record : records) {
    DeviceRow row{.device_id = {}, .record = std::move(record), .status = {}, .artifact = {}};
    row.status = effective_status(deployment, row.record);
    POSTERN_TRY(auto device_id, tx.devices().id_of(row.record.device));
    if (!device_id)
      return corrupt(fmt::format("device {} of deployment {} has no id", row.record.device, deployment.id));
    row.device_id = *std::move(device_id);
    if (const auto& artifact_id = row.record.state.artifact_id) {
      const auto [cached, is_new] = artifacts.try_emplace(*artifact_id);
      if (is_new) {
        POSTERN_TRY(cached->second, tx.artifacts().find(*artifact_id));
      }
      row.artifact = cached->second;
    }
    rows.push_back(std::move(row));
  }
  std::ranges::sort(rows, {}, [](const DeviceRow& row) {
    return std::pair(rollout::to_string(row.status), std::string_view(row.device_id));
  });
  return rows;
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

/// `status` may also be one of three words that stand for several.
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

}  // namespace

void Deployments::add_routes(http::Router& router, Gate& gate) {
  const auto add = [&](std::string_view method, const std::string& path,
                       Answer (Deployments::*handler)(http::Request&)) {
    gate.add(router, method, path, *this, handler);
  };
  const std::string deployments(kDeployments);
  add("POST", deployments, &Deployments::create);
  add("GET", deployments, &Deployments::list);
  add("GET", deployments + "/{id}", &Deployments::show);
  add("GET", deployments + "/{id}/statistics", &Deployments::statistics);
  add("PUT", deployments + "/{id}/status", &Deployments::abort);
  add("GET", deployments + "/{id}/devices", &Deployments::devices);
  add("GET", deployments + "/{id}/devices/list", &Deployments::devices_page);
  add("GET", deployments + "/{id}/device_list", &Deployments::targets);
  add("GET", deployments + "/{id}/devices/{device}/log", &Deployments::log_of);
}

Deployments::Answer Deployments::create(http::Request& request) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kOrderBytesMax));
  POSTERN_CO_TRY(const DeploymentOrder order, decode_order(body));
  const std::string id = random_.uuid();
  POSTERN_CO_CHECK(co_await store_.transact(
      [&, now = clock_.wall()](WriteTx& tx) { return create_deployment(tx, order, id, now); }));
  log_.info("deployment.created",
            {{"deployment", id}, {"name", order.name}, {"artifact", order.artifact_name}});
  http::Response answer = http::Response::empty(201);
  answer.headers.set("Location", fmt::format("{}/{}", kDeployments, id));
  co_return answer;
}

Deployments::Answer Deployments::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query));
  POSTERN_CO_TRY(const DeploymentFilter filter, parse_filter(query));
  std::size_t total = 0;
  json::array items;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto found, tx.deployments().list(filter, page.skip(), page.size));
    total = found.total;
    for (const Deployment& deployment : found.deployments) {
      POSTERN_TRY(const auto counts, tx.deployments().counts(deployment.ordinal));
      items.push_back(to_json(deployment, counts));
    }
    return {};
  }));
  http::Response answer = http::json_answer(200, items);
  add_total(answer, request, query, page, total);
  co_return answer;
}

Deployments::Answer Deployments::show(http::Request& request) {
  const std::string& id = request.parameter("id");
  if (!is_uuid(id)) co_return invalid("ID is not a valid UUID");
  json::object body;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const Deployment deployment, require(tx, id, "Resource not found"));
    POSTERN_TRY(const DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
    body = to_json(deployment, counts);
    return {};
  }));
  co_return http::json_answer(200, body);
}

Deployments::Answer Deployments::statistics(http::Request& request) {
  json::object body;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const Deployment deployment, require(tx, request.parameter("id"), "Resource not found"));
    POSTERN_TRY(const DeploymentCounts counts, tx.deployments().counts(deployment.ordinal));
    body = to_json(counts.statistics);
    return {};
  }));
  co_return http::json_answer(200, body);
}

Deployments::Answer Deployments::abort(http::Request& request) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  const json::object* object = body.if_object();
  if (object == nullptr) co_return invalid("failed to decode request body: not a JSON object");
  POSTERN_CO_TRY(const std::string word, http::string_member(*object, "status"));
  if (!rollout::parse_device_status(word)) {
    co_return invalid(fmt::format("invalid status for device '{}'", word.substr(0, 64)));
  }
  if (word != "aborted") co_return invalid("Unexpected deployment status");
  const std::string& id = request.parameter("id");
  POSTERN_CO_CHECK(co_await store_.transact(
      [&, now = clock_.wall()](WriteTx& tx) { return abort_deployment(tx, id, now); }));
  log_.info("deployment.aborted", {{"deployment", id}});
  co_return http::Response::empty(204);
}

Deployments::Answer Deployments::devices(http::Request& request) {
  json::array items;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const Deployment deployment, require(tx, request.parameter("id"), "Deployment not found"));
    POSTERN_TRY(const auto rows, device_rows(tx, deployment));
    for (const DeviceRow& row : rows) {
      POSTERN_TRY(auto item, to_json(row, deployment));
      items.push_back(std::move(item));
    }
    return {};
  }));
  co_return http::json_answer(200, items);
}

Deployments::Answer Deployments::devices_page(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query));
  POSTERN_CO_TRY(const auto wanted, parse_device_filter(query));
  json::array items;
  std::size_t total = 0;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const Deployment deployment, require(tx, request.parameter("id"), "Deployment not found"));
    POSTERN_TRY(auto rows, device_rows(tx, deployment));
    std::erase_if(rows, [&](const DeviceRow& row) { return !wanted(row.status); });
    total = rows.size();
    for (const DeviceRow& row : slice(rows, page)) {
      POSTERN_TRY(auto item, to_json(row, deployment));
      items.push_back(std::move(item));
    }
    return {};
  }));
  http::Response answer = http::json_answer(200, items);
  add_total(answer, request, query, page, total);
  co_return answer;
}

Deployments::Answer Deployments::targets(http::Request& request) {
  json::array ids;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const Deployment deployment, require(tx, request.parameter("id"), "Deployment not found"));
    POSTERN_TRY(const auto ordinals, tx.deployments().targets(deployment.ordinal));
    for (const std::uint32_t ordinal : ordinals) {
      POSTERN_TRY(const auto id, tx.devices().id_of(ordinal));
      if (!id) return corrupt(fmt::format("target {} of deployment {} has no id", ordinal, deployment.id));
      ids.emplace_back(*id);
    }
    return {};
  }));
  co_return http::json_answer(200, ids);
}

Deployments::Answer Deployments::log_of(http::Request& request) {
  std::optional<std::string> text;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const Deployment deployment, require(tx, request.parameter("id"), "Deployment not found"));
    POSTERN_TRY(const auto device, tx.devices().ordinal_of(request.parameter("device")));
    if (!device) return {};
    POSTERN_TRY(text, tx.deployments().log(deployment.ordinal, *device));
    return {};
  }));
  if (!text) co_return not_found("Resource not found");
  co_return http::Response::text(200, "text/plain", *std::move(text));
}

}  // namespace postern::cloud::management
