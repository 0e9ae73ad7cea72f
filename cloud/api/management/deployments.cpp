#include "cloud/api/management/deployments.hpp"

#include <charconv>
#include <map>

#include "cloud/api/management/deployment_json.hpp"
#include "cloud/api/management/deployment_order.hpp"
#include "cloud/api/management/paging.hpp"
#include "cloud/deployments/progress.hpp"
#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;
using rollout::DeviceStatus;

constexpr std::string_view kDeployments = "/api/management/v1/deployments/deployments";
constexpr std::string_view kPlannedDeployments = "/api/management/v2/deployments/deployments";
constexpr std::size_t kBodyBytesMax = 64 << 10;
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

}  // namespace

void Deployments::add_routes(http::Router& router, Gate& gate) {
  const auto add = [&](std::string_view method, const std::string& path,
                       Answer (Deployments::*handler)(http::Request&)) {
    gate.add(router, method, path, *this, handler);
  };
  const std::string deployments(kDeployments);
  const auto add_create = [&](std::string_view path, Decode decode) {
    router.add("POST", path,
               gate.for_users([this, path, decode](http::Request& request, const Session& session) {
                 return create(request, session, decode, path);
               }));
  };
  add_create(kDeployments, decode_order);
  add_create(kPlannedDeployments, decode_planned_order);
  add("GET", deployments, &Deployments::list);
  add("GET", deployments + "/{id}", &Deployments::show);
  add("GET", deployments + "/{id}/statistics", &Deployments::statistics);
  router.add("PUT", deployments + "/{id}/status",
             gate.for_users(
                 [this](http::Request& request, const Session& session) { return steer(request, session); }));
  add("GET", deployments + "/{id}/devices", &Deployments::devices);
  add("GET", deployments + "/{id}/devices/list", &Deployments::devices_page);
  add("GET", deployments + "/{id}/device_list", &Deployments::targets);
  add("GET", deployments + "/{id}/devices/{device}/log", &Deployments::log_of);
}

Deployments::Answer Deployments::create(http::Request& request, const Session& session, Decode decode,
                                        std::string_view deployments) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kOrderBytesMax));
  POSTERN_CO_TRY(DeploymentOrder order, decode(body));
  const std::string id = random_.uuid();
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(order.actor, actor_of(tx, session));
    return create_deployment(tx, order, id, now);
  }));
  log_.info("deployment.created",
            {{"deployment", id}, {"name", order.name}, {"artifact", order.artifact_name}});
  http::Response answer = http::Response::empty(201);
  answer.headers.set("Location", fmt::format("{}/{}", deployments, id));
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

Deployments::Answer Deployments::steer(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  const json::object* object = body.if_object();
  if (object == nullptr) co_return invalid("failed to decode request body: not a JSON object");
  POSTERN_CO_TRY(const std::string word, http::string_member(*object, "status"));
  // "paused" and "inprogress" are ours; Mender's clients never send them.
  const auto change = word == "aborted"      ? &abort_deployment
                      : word == "paused"     ? &pause_deployment
                      : word == "inprogress" ? &resume_deployment
                                             : nullptr;
  if (change == nullptr && !rollout::parse_device_status(word)) {
    co_return invalid(fmt::format("invalid status for device '{}'", word.substr(0, 64)));
  }
  if (change == nullptr) co_return invalid("Unexpected deployment status");
  const std::string& id = request.parameter("id");
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const AuditEntry::Actor actor, actor_of(tx, session));
    return change(tx, id, actor, now);
  }));
  log_.info(fmt::format("deployment.{}", word == "inprogress" ? "resumed" : word), {{"deployment", id}});
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
