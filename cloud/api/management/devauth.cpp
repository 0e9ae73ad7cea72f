#include "cloud/api/management/devauth.hpp"

#include <boost/json.hpp>

#include "cloud/api/management/noting.hpp"
#include "cloud/api/management/paging.hpp"
#include "cloud/api/preauthorization.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyBytesMax = 1 << 20;
constexpr std::string_view kDevices = "/api/management/v2/devauth/devices";

Result<json::value> identity_value(const Device& device) {
  auto value = http::parse_json(device.identity);
  if (!value) return corrupt(fmt::format("identity of device {}: {}", device.id, value.error().what));
  return value;
}

json::object to_json(const SiteConflict& conflict) {
  return {{"site", conflict.place.site},
          {"gateway", conflict.place.gateway_name},
          {"auth_set", conflict.auth_set},
          {"at", to_rfc3339(conflict.at)}};
}

/// Members that only we have; other tools skip what they do not know. A site is null for a device that was
/// never seen, and empty for one that talks directly.
void add_whereabouts(const Device& device, json::object& object) {
  object["site"] = nullptr;
  object["gateway"] = nullptr;
  if (device.presence) {
    object["site"] = device.presence->place.site;
    object["gateway"] = device.presence->place.gateway_name;
    object["site_since"] = to_rfc3339(device.presence->since);
  }
  if (device.first_seen) object["first_seen"] = to_rfc3339(*device.first_seen);
  if (device.left) {
    object["previous_site"] = device.left->site;
    object["moved_ts"] = to_rfc3339(device.left->at);
  }
  if (device.conflict) object["conflict"] = to_json(*device.conflict);
}

Result<json::object> to_json(const Device& device) {
  POSTERN_TRY(const json::value identity, identity_value(device));
  json::array sets;
  for (const AuthSet& set : device.auth_sets) {
    sets.push_back({{"id", set.id},
                    {"identity_data", identity},
                    {"pubkey", set.public_key_pem},
                    {"ts", to_rfc3339(set.created)},
                    {"status", to_string(set.status)},
                    {"tier", set.tier}});
  }
  json::object object{{"id", device.id},
                      {"identity_data", identity},
                      {"status", to_string(device.status())},
                      {"decommissioning", false},
                      {"created_ts", to_rfc3339(device.created)},
                      {"updated_ts", to_rfc3339(device.updated)},
                      {"auth_sets", std::move(sets)}};
  add_whereabouts(device, object);
  return object;
}

/// A member that is one text or an array of texts.
Result<std::vector<std::string>> texts_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::vector<std::string>{};
  const auto refused = [&] {
    return invalid(fmt::format("{}: must be a string or an array of strings", name));
  };
  if (value->is_string()) return std::vector<std::string>{std::string(value->get_string())};
  if (!value->is_array()) return refused();
  std::vector<std::string> texts;
  for (const json::value& item : value->get_array()) {
    if (!item.is_string()) return refused();
    texts.emplace_back(item.get_string());
  }
  return texts;
}

std::string_view action_of(AuthStatus status) {
  switch (status) {
    case AuthStatus::accepted:
      return "accept";
    case AuthStatus::rejected:
      return "reject";
    default:
      return "update";
  }
}

/// A set that the device does not have may be another one's.
Error no_such_set(const ReadTx& tx, std::string_view set_id) {
  const auto owner = tx.devices().owner_of_set(set_id);
  if (!owner) return owner.error();
  if (*owner) return invalid("dev auth: dev ID and auth ID mismatch");
  return not_found("authorization set not found");
}

/// Deletions of what is not there are answered without a body (management-api 0.3).
Result<http::Response> deleted(const Status& status) {
  if (status) return http::Response::empty(204);
  if (status.error().reason == Reason::not_found) return http::Response::empty(404);
  return status.error();
}

}  // namespace

void Devauth::add_routes(http::Router& router, Gate& gate) {
  const auto add = [&](std::string_view method, const std::string& path,
                       Answer (Devauth::*handler)(http::Request&)) {
    gate.add(router, method, path, *this, handler);
  };
  const auto change = [&](std::string_view method, const std::string& path,
                          Answer (Devauth::*handler)(http::Request&, const Session&)) {
    router.add(method, path, gate.for_users([this, handler](http::Request& request, const Session& session) {
      return (this->*handler)(request, session);
    }));
  };
  const std::string devices(kDevices);
  add("GET", devices, &Devauth::list);
  change("POST", devices, &Devauth::preauthorize);
  add("POST", devices + "/search", &Devauth::search);
  add("GET", devices + "/count", &Devauth::count);
  add("GET", devices + "/{id}", &Devauth::show);
  change("DELETE", devices + "/{id}", &Devauth::decommission);
  change("DELETE", devices + "/{id}/auth/{set}", &Devauth::dismiss);
  change("PUT", devices + "/{id}/auth/{set}/status", &Devauth::set_status);
  add("GET", devices + "/{id}/auth/{set}/status", &Devauth::show_status);
  add("GET", "/api/management/v2/devauth/limits/{name}", &Devauth::limit);
  change("DELETE", "/api/management/v2/devauth/tokens/{set}", &Devauth::revoke_token);
}

Result<json::object> Devauth::shown(const Device& device) const {
  POSTERN_TRY(json::object object, to_json(device));
  if (const auto seen = last_seen_.of(device.ordinal)) object["check_in_time"] = to_rfc3339(*seen);
  return object;
}

Devauth::Answer Devauth::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  DeviceFilter filter;
  if (const auto gateway = http::find_parameter(query, "gateway")) {
    POSTERN_CO_TRY(filter.gateway, co_await ordinal_of_gateway(*gateway));
    if (!filter.gateway) co_return http::json_answer(200, json::array{});
  }
  for (const auto& [name, value] : query) {
    if (name == "id") filter.ids.insert(value);
    if (name != "status") continue;
    const auto status = parse_auth_status(value);
    if (!status) {
      co_return invalid("filter status must be one of: accepted, pending, rejected, preauthorized or noauth");
    }
    filter.statuses.insert(*status);
  }
  co_return co_await page_of(request, std::move(filter));
}

net::awaitable<Result<std::optional<std::uint32_t>>> Devauth::ordinal_of_gateway(std::string_view id) {
  std::optional<Gateway> gateway;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(gateway, tx.gateways().find(id));
    return {};
  }));
  co_return gateway ? std::optional(gateway->ordinal) : std::nullopt;
}

Devauth::Answer Devauth::search(http::Request& request) {
  // Parameters of the type are not taken here (management-api 2.2).
  if (const auto type = request.headers.find("Content-Type"); type && *type != "application/json") {
    co_return rejected(Reason::unsupported, "Bad Content-Type, expected 'application/json'");
  }
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  const json::object* object = body.if_object();
  if (object == nullptr) co_return invalid("failed to decode request body: not a JSON object");
  DeviceFilter filter;
  POSTERN_CO_TRY(const auto ids, texts_member(*object, "id"));
  filter.ids.insert(ids.begin(), ids.end());
  POSTERN_CO_TRY(const auto statuses, texts_member(*object, "status"));
  for (const std::string& word : statuses) {
    if (const auto status = parse_auth_status(word)) filter.statuses.insert(*status);
  }
  // Words that are no status match nothing (management-api 2.2), and an empty filter would match everything.
  if (!statuses.empty() && filter.statuses.empty()) co_return http::json_answer(200, json::array{});
  co_return co_await page_of(request, std::move(filter));
}

Devauth::Answer Devauth::page_of(http::Request& request, DeviceFilter filter) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query));
  std::vector<Device> devices;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(devices, tx.devices().list(filter, page.skip(), page.size + 1));
    return {};
  }));
  const bool has_next = devices.size() > page.size;
  if (has_next) devices.pop_back();
  json::array items;
  for (const Device& device : devices) {
    POSTERN_CO_TRY(auto item, shown(device));
    items.push_back(std::move(item));
  }
  http::Response answer = http::json_answer(200, items);
  add_links(answer, request, query, page, has_next, std::nullopt);
  co_return answer;
}

Devauth::Answer Devauth::count(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  std::optional<AuthStatus> status;
  if (const auto word = http::find_parameter(query, "status"); word && !word->empty()) {
    status = parse_auth_status(*word);
    if (!status)
      co_return invalid("status must be one of: pending, accepted, rejected, preauthorized, noauth");
  }
  std::size_t total = 0;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(total, tx.devices().count(status));
    return {};
  }));
  co_return http::json_answer(200, {{"count", total}});
}

Devauth::Answer Devauth::show(http::Request& request) {
  std::optional<Device> device;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(device, tx.devices().find(request.parameter("id")));
    return {};
  }));
  if (!device) co_return not_found("device not found");
  POSTERN_CO_TRY(const auto body, shown(*device));
  co_return http::json_answer(200, body);
}

Devauth::Answer Devauth::preauthorize(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  POSTERN_CO_TRY(const Preauthorization wanted, decode_preauthorization(body));
  const FreshIds fresh{.device = random_.uuid(), .auth_set = random_.uuid()};
  const WallTime now = clock_.wall();
  std::optional<Device> existing;
  std::string id;
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(existing, tx.devices().find_by_identity(wanted.identity.hash));
    if (existing && !wanted.force) return {};
    existing.reset();
    POSTERN_TRY(id, cloud::preauthorize(tx, wanted, fresh, now));
    POSTERN_TRY(const auto device, tx.devices().find_by_identity(wanted.identity.hash));
    return note_change(tx, session, now, "preauthorize", object_of(*device));
  }));
  if (existing) {
    POSTERN_CO_TRY(auto known, shown(*existing));
    known["auth_sets"] = nullptr;  // in this one answer (management-api 2.3)
    co_return http::json_answer(409, known);
  }
  log_.info("device.preauthorized", {{"device", id}});
  http::Response answer = http::Response::empty(201);
  answer.headers.set("Location", "devices/" + id);
  co_return answer;
}

Devauth::Answer Devauth::decommission(http::Request& request, const Session& session) {
  const std::string& id = request.parameter("id");
  const auto done = co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto device, tx.devices().find(id));
    if (!device) return not_found("device not found");
    POSTERN_CHECK(note_change(tx, session, now, "decommission", object_of(*device)));
    return cloud::decommission(tx, id, now);
  });
  if (done) log_.info("device.decommissioned", {{"device", id}});
  co_return deleted(done);
}

Devauth::Answer Devauth::dismiss(http::Request& request, const Session& session) {
  const auto done = co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto device, tx.devices().find(request.parameter("id")));
    if (!device) return not_found("device not found");
    POSTERN_CHECK(note_change(tx, session, now, "dismiss", object_of(*device),
                              "Removed auth set " + request.parameter("set")));
    return cloud::dismiss(tx, request.parameter("id"), request.parameter("set"), now);
  });
  co_return deleted(done);
}

Devauth::Answer Devauth::set_status(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  const json::object* object = body.if_object();
  if (object == nullptr) co_return invalid("failed to decode status request: not a JSON object");
  POSTERN_CO_TRY(const std::string word, http::string_member(*object, "status"));
  const auto status = parse_auth_status(word);
  if (status != AuthStatus::accepted && status != AuthStatus::rejected && status != AuthStatus::pending) {
    co_return invalid("incorrect device status");
  }
  const std::string& set_id = request.parameter("set");
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(auto device, tx.devices().find(request.parameter("id")));
    if (!device) return not_found("device not found");
    const AuthSet* set = device->find_set(set_id);
    if (set == nullptr) return no_such_set(tx, set_id);
    if (set->status == *status) return {};
    POSTERN_CHECK(
        note_change(tx, session, now, action_of(*status), object_of(*device), "Auth set " + set_id));
    return set_auth_status(tx, device->id, set_id, *status, now);
  }));
  log_.info("device.status_set", {{"device", request.parameter("id")}, {"status", word}});
  co_return http::Response::empty(204);
}

Devauth::Answer Devauth::show_status(http::Request& request) {
  std::optional<AuthStatus> status;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto owner, tx.devices().owner_of_set(request.parameter("set")));
    if (!owner) return {};
    POSTERN_TRY(auto device, tx.devices().find_by_ordinal(*owner));
    if (!device) return {};
    if (const AuthSet* set = device->find_set(request.parameter("set"))) status = set->status;
    return {};
  }));
  if (!status) co_return not_found("authorization set not found");
  co_return http::json_answer(200, {{"status", to_string(*status)}});
}

Devauth::Answer Devauth::limit(http::Request& request) {
  if (const std::string& name = request.parameter("name"); name != "max_devices") {
    co_return invalid(fmt::format("unsupported limit {}", name));
  }
  co_return http::json_answer(200, {{"limit", -1}});
}

Devauth::Answer Devauth::revoke_token(http::Request& request, const Session& session) {
  const std::string& set = request.parameter("set");
  const auto done = co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto owner, tx.devices().find_token(set));
    if (!owner) return not_found("token not found");
    POSTERN_TRY(const auto device, tx.devices().find_by_ordinal(owner->ordinal));
    if (device) POSTERN_CHECK(note_change(tx, session, now, "revoke_token", object_of(*device)));
    return tx.change_devices().erase_token(set);
  });
  co_return deleted(done);
}

}  // namespace postern::cloud::management
