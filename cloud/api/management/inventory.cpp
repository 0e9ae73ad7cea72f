#include "cloud/api/management/inventory.hpp"

#include <charconv>

#include <boost/json.hpp>

#include "cloud/api/management/device_json.hpp"
#include "cloud/api/management/noting.hpp"
#include "cloud/api/management/paging.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyBytesMax = 1 << 20;
constexpr std::size_t kTagCharactersMax = 4096;
constexpr std::string_view kDevices = "/api/management/v1/inventory/devices";

/// Of "[scope/]attribute"; without a scope it is what devices report.
std::pair<Scope, std::string> parse_name(std::string_view text) {
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) {
    if (const auto scope = parse_scope(text.substr(0, slash))) {
      return {*scope, std::string(text.substr(slash + 1))};
    }
  }
  return {Scope::inventory, std::string(text)};
}

Result<SortKey> parse_sort(std::string_view text) {
  const auto colon = text.rfind(':');
  SortKey key;
  std::tie(key.scope, key.attribute) = parse_name(text.substr(0, colon));
  key.is_descending = true;
  if (colon == std::string_view::npos) return key;
  const std::string_view order = text.substr(colon + 1);
  if (order != "asc" && order != "desc") return invalid("invalid sort order");
  key.is_descending = order == "desc";
  return key;
}

/// A value that reads as a number matches the text and the number.
Result<Predicate> parse_condition(std::string_view name, std::string_view value) {
  auto [scope, attribute] = parse_name(name);
  if (value.starts_with("eq:")) value.remove_prefix(3);
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc{} && end == value.data() + value.size()) {
    return make_predicate(scope, std::move(attribute), Operator::in,
                          json::array{json::string(value), number});
  }
  return make_predicate(scope, std::move(attribute), Operator::eq, json::string(value));
}

Result<bool> parse_boolean(std::string_view name, std::string_view text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return invalid(fmt::format("invalid {} query: \"{}\"", name, text));
}

bool is_list_of_one_type(const json::array& list) {
  return std::ranges::all_of(list, [](const json::value& each) { return each.is_string(); }) ||
         std::ranges::all_of(list, [](const json::value& each) { return each.is_number(); });
}

Result<Tag> parse_tag(const json::value& item, WallTime now) {
  if (!item.is_object()) return invalid("failed to decode tags: not a list of objects");
  const json::object& members = item.get_object();
  Tag tag;
  POSTERN_TRY(tag.name, http::string_member(members, "name"));
  if (tag.name.empty()) return invalid("name: cannot be blank.");
  if (tag.name.size() > kTagCharactersMax) return invalid("name: the length must be no more than 4096.");
  POSTERN_TRY(tag.description, http::string_member(members, "description"));
  const json::value* value = members.if_contains("value");
  if (value == nullptr || value->is_null()) return invalid("value: cannot be blank.");
  if (!value->is_string() && !value->is_number() &&
      !(value->is_array() && is_list_of_one_type(value->get_array()))) {
    return invalid("supported types are string, float64, and arrays thereof");
  }
  tag.value = *value;
  tag.set = now;
  return tag;
}

Result<std::vector<Tag>> parse_tags(const json::value& body, WallTime now) {
  if (!body.is_array()) return invalid("failed to decode tags: not a list");
  std::vector<Tag> tags;
  for (const json::value& item : body.get_array()) {
    POSTERN_TRY(Tag tag, parse_tag(item, now));
    tags.push_back(std::move(tag));
  }
  return tags;
}

}  // namespace

Result<SearchQuery> parse_list_query(const http::QueryParameters& parameters) {
  SearchQuery query;
  for (const auto& [name, value] : parameters) {
    if (name == "page" || name == "per_page") continue;
    if (name == "sort") {
      POSTERN_TRY(SortKey key, parse_sort(value));
      query.sort = {std::move(key)};
      continue;
    }
    if (query.filter.size() >= kPredicatesMax) return invalid("too many filters");
    if (name == "has_group") {
      POSTERN_TRY(const bool has_group, parse_boolean(name, value));
      POSTERN_TRY(Predicate predicate, make_predicate(Scope::system, "group", Operator::exists, has_group));
      query.filter.push_back(std::move(predicate));
      continue;
    }
    POSTERN_TRY(Predicate predicate,
                name == "group" ? make_predicate(Scope::system, "group", Operator::eq, json::string(value))
                                : parse_condition(name, value));
    query.filter.push_back(std::move(predicate));
  }
  return query;
}

void InventoryRoutes::add_routes(http::Router& router, Gate& gate) {
  const std::string device = fmt::format("{}/{{id}}", kDevices);
  gate.add(router, "GET", kDevices, *this, &InventoryRoutes::list);
  gate.add(router, "GET", device, *this, &InventoryRoutes::show);
  router.add("DELETE", device, gate.for_users([this](http::Request& request, const Session& session) {
    return clear(request, session);
  }));
  router.add("PUT", device + "/tags", gate.for_users([this](http::Request& request, const Session& session) {
    return set_tags(request, session, true);
  }));
  router.add("PATCH", device + "/tags",
             gate.for_users([this](http::Request& request, const Session& session) {
               return set_tags(request, session, false);
             }));
}

InventoryRoutes::Answer InventoryRoutes::list(http::Request& request) {
  POSTERN_CO_TRY(const auto parameters, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(parameters));
  POSTERN_CO_TRY(SearchQuery query, parse_list_query(parameters));
  query.skip = page.skip();
  query.count = page.size;
  POSTERN_CO_TRY(auto hits, co_await search_.search(std::move(query)));
  POSTERN_CO_TRY(const auto devices, co_await read_devices(store_, last_seen_, std::move(hits.devices)));
  http::Response answer = http::json_answer(200, devices);
  add_total(answer, request, parameters, page, hits.total);
  co_return answer;
}

InventoryRoutes::Answer InventoryRoutes::show(http::Request& request) {
  std::optional<Portrait> portrait;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto device, tx.devices().find(request.parameter("id")));
    if (!device) return {};
    POSTERN_TRY(portrait, portray(tx, *device, last_seen_.of(device->ordinal)));
    return {};
  }));
  if (!portrait) co_return not_found("Device not found");
  http::Response answer = http::json_answer(200, to_json(*portrait));
  if (!portrait->tags_etag.empty()) answer.headers.set("ETag", portrait->tags_etag);
  co_return answer;
}

InventoryRoutes::Answer InventoryRoutes::clear(http::Request& request, const Session& session) {
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto device, tx.devices().find(request.parameter("id")));
    if (!device) return {};
    POSTERN_CHECK(note_change(tx, session, now, "delete", object_of(*device), "Cleared the inventory"));
    return tx.change_inventory().erase(device->ordinal);
  }));
  co_return http::Response::empty(204);
}

InventoryRoutes::Answer InventoryRoutes::set_tags(http::Request& request, const Session& session,
                                                  bool replaces) {
  const WallTime now = clock_.wall();
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  POSTERN_CO_TRY(const std::vector<Tag> wanted, parse_tags(body, now));
  const auto condition = request.headers.find("If-Match");
  const std::string etag = random_.uuid();
  bool is_outdated = false;
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto device, tx.devices().find(request.parameter("id")));
    DeviceTags tags;
    if (device) {
      POSTERN_TRY(tags, tx.tags().get(device->ordinal));
    }
    is_outdated = condition && *condition != tags.etag;
    if (is_outdated || !device) return {};
    POSTERN_CHECK(tags.apply(wanted, replaces));
    tags.etag = etag;
    POSTERN_CHECK(note_change(tx, session, now, "update", object_of(*device), "Changed the tags"));
    return tx.change_tags().put(device->ordinal, tags);
  }));
  if (is_outdated) co_return http::error_answer(412, "ETag does not match", request);
  co_return http::Response::empty(200);
}

}  // namespace postern::cloud::management
