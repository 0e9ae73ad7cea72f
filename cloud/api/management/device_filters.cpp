#include "cloud/api/management/device_filters.hpp"

#include <boost/json.hpp>

#include "cloud/api/management/noting.hpp"
#include "cloud/api/management/paging.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyBytesMax = 1 << 20;
constexpr std::size_t kPerPageMax = 500;
constexpr std::size_t kPageMax = 1'000'000'000;
constexpr std::size_t kProjectionMax = 200;
constexpr std::size_t kAttributesMax = 500;  // management-api 3.5
constexpr std::string_view kFilters = "/api/management/v2/inventory/filters";

/// A list that may be left out.
Result<const json::array*> list_member(const json::object& object, std::string_view name,
                                       std::size_t count_max) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return nullptr;
  if (!value->is_array()) return invalid(fmt::format("{}: must be a list.", name));
  if (value->get_array().size() > count_max) {
    return invalid(fmt::format("{}: must be no more than {}.", name, count_max));
  }
  return &value->get_array();
}

/// What is missing or below 1 becomes `otherwise`.
Result<std::size_t> number_member(const json::object& object, std::string_view name, std::size_t otherwise,
                                  std::size_t max) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return otherwise;
  if (!value->is_int64() && !value->is_uint64()) return invalid(fmt::format("{}: must be an integer.", name));
  json::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  if (error || number > static_cast<std::int64_t>(max)) {
    return invalid(fmt::format("{}: must be no greater than {}.", name, max));
  }
  return number < 1 ? otherwise : static_cast<std::size_t>(number);
}

Result<std::pair<Scope, std::string>> attribute_of(const json::value& item) {
  if (!item.is_object()) return invalid("must be a list of objects.");
  POSTERN_TRY(const std::string word, http::string_member(item.get_object(), "scope"));
  const auto scope = parse_scope(word);
  if (!scope) return invalid("scope: must be one of system, identity, inventory, monitor, tags.");
  POSTERN_TRY(std::string attribute, http::string_member(item.get_object(), "attribute"));
  if (attribute.empty()) return invalid("attribute: cannot be blank.");
  return std::pair(*scope, std::move(attribute));
}

Result<SortKey> sort_key_of(const json::value& item) {
  POSTERN_TRY(auto name, attribute_of(item));
  POSTERN_TRY(const std::string order, http::string_member(item.get_object(), "order"));
  if (order != "asc" && order != "desc") return invalid("order: must be one of asc, desc.");
  return SortKey{.scope = name.first, .attribute = std::move(name.second), .is_descending = order == "desc"};
}

Status read_lists(const json::object& body, SearchRequest& request) {
  if (const json::value* filters = body.if_contains("filters"); filters != nullptr && !filters->is_null()) {
    POSTERN_TRY(request.query.filter, parse_filter(*filters));
  }
  POSTERN_TRY(const json::array* sort, list_member(body, "sort", SearchQuery::kSortKeysMax));
  if (sort != nullptr) {
    for (const json::value& item : *sort) {
      POSTERN_TRY(SortKey key, sort_key_of(item));
      request.query.sort.push_back(std::move(key));
    }
  }
  POSTERN_TRY(const json::array* attributes, list_member(body, "attributes", kProjectionMax));
  if (attributes != nullptr && !attributes->empty()) {
    request.projection.emplace();
    for (const json::value& item : *attributes) {
      POSTERN_TRY(auto name, attribute_of(item));
      request.projection->push_back(std::move(name));
    }
  }
  POSTERN_TRY(const json::array* ids, list_member(body, "device_ids", kPredicateValuesMax));
  if (ids == nullptr || ids->empty()) return {};
  request.device_ids.emplace();
  for (const json::value& id : *ids) {
    if (!id.is_string()) return invalid("device_ids: must be a list of strings.");
    request.device_ids->emplace_back(id.get_string());
  }
  return {};
}

json::object to_json(const SavedFilter& filter) {
  return {{"id", filter.id}, {"name", filter.name}, {"terms", to_json(filter.terms)}};
}

Result<SavedFilter> parse_saved_filter(const json::value& body) {
  const json::object* object = body.if_object();
  if (object == nullptr) return invalid("failed to decode request body: not a JSON object");
  SavedFilter filter;
  POSTERN_TRY(filter.name, http::string_member(*object, "name"));
  if (filter.name.empty()) return invalid("name: cannot be blank.");
  if (filter.name.size() > SavedFilter::kNameCharactersMax) {
    return invalid(fmt::format("name: the length must be no more than {}.", SavedFilter::kNameCharactersMax));
  }
  const json::value* terms = object->if_contains("terms");
  if (terms == nullptr || !terms->is_array() || terms->get_array().empty()) {
    return invalid("terms: cannot be blank.");
  }
  POSTERN_TRY(filter.terms, parse_filter(*terms));
  if (std::ranges::find(filter.terms, Operator::regex, &Predicate::op) != filter.terms.end()) {
    return invalid("type: must be one of $eq, $gt, $gte, $in, $lt, $lte, $ne, $nin, $exists.");
  }
  return filter;
}

}  // namespace

Result<SearchRequest> parse_search(const json::value& body) {
  const json::object* object = body.if_object();
  if (object == nullptr) return invalid("failed to decode request body: not a JSON object");
  SearchRequest request;
  POSTERN_TRY(const std::size_t page, number_member(*object, "page", 1, kPageMax));
  POSTERN_TRY(request.query.count, number_member(*object, "per_page", 20, kPerPageMax));
  request.query.skip = (page - 1) * request.query.count;
  POSTERN_TRY(request.query.text, http::string_member(*object, "text"));
  if (request.query.text.size() > SearchQuery::kTextCharactersMax) {
    return invalid(fmt::format("text: the length must be no more than {}.", SearchQuery::kTextCharactersMax));
  }
  POSTERN_CHECK(read_lists(*object, request));
  return request;
}

void DeviceFilters::add_routes(http::Router& router, Gate& gate) {
  const std::string filters(kFilters);
  gate.add(router, "POST", filters + "/search", *this, &DeviceFilters::search);
  gate.add(router, "GET", filters + "/attributes", *this, &DeviceFilters::attributes);
  gate.add(router, "GET", "/api/management/v2/inventory/statistics", *this, &DeviceFilters::statistics);
  gate.add(router, "GET", filters, *this, &DeviceFilters::list);
  gate.add(router, "GET", filters + "/{id}", *this, &DeviceFilters::show);
  gate.add(router, "GET", filters + "/{id}/search", *this, &DeviceFilters::search_saved);
  router.add("POST", filters, gate.for_users([this](http::Request& request, const Session& session) {
    return save(request, session);
  }));
  router.add("DELETE", filters + "/{id}",
             gate.for_users(
                 [this](http::Request& request, const Session& session) { return erase(request, session); }));
}

DeviceFilters::Answer DeviceFilters::search(http::Request& request) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  POSTERN_CO_TRY(SearchRequest wanted, parse_search(body));
  if (wanted.device_ids) {
    wanted.query.devices.emplace();
    POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
      for (const std::string& id : *wanted.device_ids) {
        POSTERN_TRY(const auto ordinal, tx.devices().ordinal_of(id));
        if (ordinal) wanted.query.devices->push_back(*ordinal);
      }
      return {};
    }));
  }
  co_return co_await answer(std::move(wanted.query), std::move(wanted.projection));
}

DeviceFilters::Answer DeviceFilters::answer(SearchQuery query, Projection projection) {
  POSTERN_CO_TRY(auto hits, co_await search_.search(std::move(query)));
  POSTERN_CO_TRY(const auto devices,
                 co_await read_devices(store_, last_seen_, std::move(hits.devices), std::move(projection)));
  http::Response response = http::json_answer(200, devices);
  response.headers.set("X-Total-Count", std::to_string(hits.total));
  co_return response;
}

DeviceFilters::Answer DeviceFilters::attributes(http::Request&) {
  POSTERN_CO_TRY(const auto counts, co_await search_.attributes());
  json::array items;
  for (const AttributeCount& each : counts) {
    if (items.size() == kAttributesMax) break;
    items.push_back({{"name", each.name}, {"scope", to_string(each.scope)}, {"count", each.count}});
  }
  co_return http::json_answer(200, items);
}

DeviceFilters::Answer DeviceFilters::statistics(http::Request&) {
  POSTERN_CO_TRY(const auto counts, co_await search_.statuses());
  json::object by_status;
  for (const AuthStatus status : {AuthStatus::accepted, AuthStatus::pending}) {
    by_status[to_string(status)] = json::object{{"standard", 0}, {"micro", 0}, {"system", 0}};
  }
  for (const StatusCount& each : counts) {
    json::value& of_status = by_status[to_string(each.status)];
    if (!of_status.is_object()) of_status.emplace_object();
    of_status.get_object()[each.tier] = each.count;
  }
  co_return http::json_answer(200, {{"devices_by_status", std::move(by_status)}});
}

DeviceFilters::Answer DeviceFilters::save(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  POSTERN_CO_TRY(SavedFilter filter, parse_saved_filter(body));
  filter.id = random_.uuid();
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto known, tx.saved_filters().list());
    if (std::ranges::find(known, filter.name, &SavedFilter::name) != known.end()) {
      return conflict("filter with given name already exists");
    }
    if (known.size() >= SavedFilter::kFiltersMax) {
      return rejected(Reason::unprocessable, "maximum number of filters reached");
    }
    POSTERN_CHECK(note_change(
        tx, session, now, "create",
        {.type = "filter", .id = filter.id, .name = filter.name, .artifact_name = {}, .identity = {}}));
    return tx.change_saved_filters().put(filter);
  }));
  http::Response response = http::Response::empty(201);
  response.headers.set("Location", "filters/" + filter.id);
  co_return response;
}

DeviceFilters::Answer DeviceFilters::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query));
  std::vector<SavedFilter> all;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(all, tx.saved_filters().list());
    return {};
  }));
  json::array items;
  for (const SavedFilter& filter : slice(all, page)) items.push_back(to_json(filter));
  http::Response response = http::json_answer(200, items);
  add_total(response, request, query, page, all.size());
  co_return response;
}

net::awaitable<Result<SavedFilter>> DeviceFilters::find(http::Request& request) {
  std::optional<SavedFilter> filter;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(filter, tx.saved_filters().find(request.parameter("id")));
    return {};
  }));
  if (!filter) co_return not_found("filter not found");
  co_return *std::move(filter);
}

DeviceFilters::Answer DeviceFilters::show(http::Request& request) {
  POSTERN_CO_TRY(const SavedFilter filter, co_await find(request));
  co_return http::json_answer(200, to_json(filter));
}

DeviceFilters::Answer DeviceFilters::search_saved(http::Request& request) {
  POSTERN_CO_TRY(const auto parameters, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(parameters));
  POSTERN_CO_TRY(SavedFilter filter, co_await find(request));
  SearchQuery query;
  query.filter = std::move(filter.terms);
  query.skip = page.skip();
  query.count = page.size;
  co_return co_await answer(std::move(query), std::nullopt);
}

DeviceFilters::Answer DeviceFilters::erase(http::Request& request, const Session& session) {
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto filter, tx.saved_filters().find(request.parameter("id")));
    if (!filter) return not_found("filter not found");
    POSTERN_CHECK(note_change(
        tx, session, now, "delete",
        {.type = "filter", .id = filter->id, .name = filter->name, .artifact_name = {}, .identity = {}}));
    return tx.change_saved_filters().erase(filter->id);
  }));
  co_return http::Response::empty(204);
}

}  // namespace postern::cloud::management
