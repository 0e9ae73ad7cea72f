#include "cloud/api/management/groups.hpp"

#include <boost/json.hpp>

#include "cloud/api/management/noting.hpp"
#include "cloud/api/management/paging.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyBytesMax = 1 << 20;
constexpr std::string_view kInventory = "/api/management/v1/inventory";

/// Zeros are left out (management-api 3.4).
http::Response counters(const GroupChange& change) {
  json::object object;
  if (change.updated > 0) object["updated_count"] = change.updated;
  if (change.matched > 0) object["matched_count"] = change.matched;
  return http::json_answer(200, object);
}

net::awaitable<Result<std::vector<std::string>>> read_ids(http::Request& request) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  const json::array* items = body.if_array();
  if (items == nullptr) co_return invalid("failed to decode device group data: not a list");
  std::vector<std::string> ids;
  for (const json::value& item : *items) {
    if (!item.is_string()) co_return invalid("failed to decode device group data: not a list of strings");
    ids.emplace_back(item.get_string());
  }
  if (ids.empty()) co_return invalid("no device IDs present in payload");
  co_return ids;
}

}  // namespace

void Groups::add_routes(http::Router& router, Gate& gate) {
  const std::string groups = fmt::format("{}/groups", kInventory);
  const std::string device = fmt::format("{}/devices/{{id}}/group", kInventory);
  const auto add = [&](std::string_view method, const std::string& path,
                       Answer (Groups::*handler)(http::Request&, const Session&)) {
    router.add(method, path, gate.for_users([this, handler](http::Request& request, const Session& session) {
      return (this->*handler)(request, session);
    }));
  };
  gate.add(router, "GET", groups, *this, &Groups::list);
  gate.add(router, "GET", groups + "/{name}/devices", *this, &Groups::members);
  gate.add(router, "GET", device, *this, &Groups::group_of);
  add("PATCH", groups + "/{name}/devices", &Groups::add_members);
  add("DELETE", groups + "/{name}/devices", &Groups::remove_members);
  add("DELETE", groups + "/{name}", &Groups::dissolve);
  add("PUT", device, &Groups::set_group);
  add("DELETE", device + "/{name}", &Groups::leave);
}

Groups::Answer Groups::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  std::optional<AuthStatus> status;
  if (const auto word = http::find_parameter(query, "status"); word && !word->empty()) {
    status = parse_auth_status(*word);
    if (!status) co_return http::json_answer(200, json::array{});
  }
  POSTERN_CO_TRY(const auto names, co_await search_.groups(status));
  co_return http::json_answer(200, json::array(names.begin(), names.end()));
}

net::awaitable<Result<SearchHits>> Groups::find_members(std::string group, std::size_t skip,
                                                        std::size_t count) {
  SearchQuery query;
  POSTERN_CO_TRY(Predicate predicate,
                 make_predicate(Scope::system, "group", Operator::eq, json::string(group)));
  query.filter.push_back(std::move(predicate));
  query.skip = skip;
  query.count = count;
  co_return co_await search_.search(std::move(query));
}

net::awaitable<Result<std::vector<std::string>>> Groups::ids_of(std::vector<std::uint32_t> devices) {
  std::vector<std::string> ids;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    for (const std::uint32_t device : devices) {
      POSTERN_TRY(auto id, tx.devices().id_of(device));
      if (id) ids.push_back(*std::move(id));
    }
    return {};
  }));
  co_return ids;
}

Groups::Answer Groups::members(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query));
  POSTERN_CO_TRY(auto hits, co_await find_members(request.parameter("name"), page.skip(), page.size));
  if (hits.total == 0) co_return not_found("group not found");
  POSTERN_CO_TRY(const auto ids, co_await ids_of(std::move(hits.devices)));
  http::Response answer = http::json_answer(200, json::array(ids.begin(), ids.end()));
  add_total(answer, request, query, page, hits.total);
  co_return answer;
}

Groups::Answer Groups::group_of(http::Request& request) {
  std::optional<Device> device;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(device, tx.devices().find(request.parameter("id")));
    return {};
  }));
  if (!device) co_return not_found("Device not found");
  const json::value group = device->group.empty() ? json::value() : json::value(device->group);
  co_return http::json_answer(200, {{"group", group}});
}

net::awaitable<Result<GroupChange>> Groups::apply(Change change, std::vector<std::string> ids,
                                                  std::string group, Session session, std::string what) {
  const WallTime now = clock_.wall();
  GroupChange sum;
  for (std::size_t at = 0; at < ids.size(); at += kGroupChangesAtOnce) {
    const auto slice = std::span(ids).subspan(at, std::min(kGroupChangesAtOnce, ids.size() - at));
    GroupChange part;
    POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
      POSTERN_TRY(part, change(tx, slice, group));
      if (part.updated == 0 || sum.updated > 0 || what.empty()) return {};
      return note_change(tx, session, now, "update",
                         {.type = "group", .id = group, .name = group, .artifact_name = {}, .identity = {}},
                         what);
    }));
    sum += part;
  }
  co_return sum;
}

Groups::Answer Groups::add_members(http::Request& request, const Session& session) {
  const std::string& group = request.parameter("name");
  POSTERN_CO_CHECK(check_group_name(group));
  POSTERN_CO_TRY(auto ids, co_await read_ids(request));
  const std::string what = fmt::format("Added devices: {}", ids.size());
  POSTERN_CO_TRY(const auto change, co_await apply(join_group, std::move(ids), group, session, what));
  co_return counters(change);
}

Groups::Answer Groups::remove_members(http::Request& request, const Session& session) {
  const std::string& group = request.parameter("name");
  POSTERN_CO_CHECK(check_group_name(group));
  POSTERN_CO_TRY(auto ids, co_await read_ids(request));
  const std::string what = fmt::format("Removed devices: {}", ids.size());
  POSTERN_CO_TRY(const auto change, co_await apply(leave_group, std::move(ids), group, session, what));
  co_return counters(change);
}

Groups::Answer Groups::dissolve(http::Request& request, const Session& session) {
  const std::string& group = request.parameter("name");
  POSTERN_CO_CHECK(check_group_name(group));
  GroupChange sum;
  for (;;) {
    POSTERN_CO_TRY(auto hits, co_await find_members(group, 0, kGroupChangesAtOnce));
    POSTERN_CO_TRY(auto ids, co_await ids_of(std::move(hits.devices)));
    const std::string what = sum.updated == 0 ? "Removed the group" : "";
    POSTERN_CO_TRY(const auto change, co_await apply(leave_group, std::move(ids), group, session, what));
    // Whoever was found and is no longer in it left meanwhile.
    if (change.updated == 0) break;
    sum += change;
  }
  co_return counters(sum);
}

Groups::Answer Groups::set_group(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  const json::object* object = body.if_object();
  if (object == nullptr) co_return invalid("failed to decode device group data: not a JSON object");
  POSTERN_CO_TRY(const std::string group, http::string_member(*object, "group"));
  POSTERN_CO_CHECK(check_group_name(group));
  POSTERN_CO_TRY(const auto change, co_await apply(join_group, {request.parameter("id")}, group, session,
                                                   "Added device " + request.parameter("id")));
  if (change.matched == 0) co_return not_found("failed to add device to group: Device not found");
  co_return http::Response::empty(204);
}

Groups::Answer Groups::leave(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const auto change,
                 co_await apply(leave_group, {request.parameter("id")}, request.parameter("name"), session,
                                "Removed device " + request.parameter("id")));
  if (change.matched == 0) co_return not_found("Device not found");
  co_return http::Response::empty(204);
}

}  // namespace postern::cloud::management
