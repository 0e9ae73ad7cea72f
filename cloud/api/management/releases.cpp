#include "cloud/api/management/releases.hpp"

#include <set>

#include <boost/json.hpp>

#include "cloud/api/management/artifacts.hpp"
#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::string_view kReleasesV1 = "/api/management/v1/deployments/deployments/releases";
constexpr std::string_view kReleasesV2 = "/api/management/v2/deployments/deployments/releases";
constexpr std::string_view kAllReleases = "/api/management/v2/deployments/releases/all";
constexpr std::string_view kSoftware = "/api/management/v1alpha1/deployments/software";
constexpr std::size_t kBodyBytesMax = 1 << 20;
constexpr std::size_t kValuesMax = 100;

struct Keys {
  std::string_view name, modified, artifacts, count;
};
constexpr Keys kKeysV1{"Name", "Modified", "Artifacts", "ArtifactsCount"};
constexpr Keys kKeysV2{"name", "modified", "artifacts", "artifacts_count"};

json::array texts_json(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

Result<json::object> release_json(const Release& release, const Keys& keys) {
  json::array artifacts;
  for (const Artifact& artifact : release.artifacts) {
    POSTERN_TRY(auto item, to_json(artifact));
    artifacts.push_back(std::move(item));
  }
  json::object object;
  object[keys.name] = release.name;
  object[keys.modified] = to_rfc3339(release.modified);
  object[keys.count] = artifacts.size();
  object[keys.artifacts] = std::move(artifacts);
  object["tags"] = texts_json(release.tags);
  object["notes"] = release.notes;
  return object;
}

Result<http::Response> releases_answer(std::span<const Release> releases, const Keys& keys) {
  json::array items;
  for (const Release& release : releases) {
    POSTERN_TRY(auto item, release_json(release, keys));
    items.push_back(std::move(item));
  }
  return http::json_answer(200, items);
}

std::string text_parameter(const http::QueryParameters& query, std::string_view name) {
  return std::string(http::find_parameter(query, name).value_or(""));
}

ReleaseFilter to_filter_v1(const http::QueryParameters& query) {
  ReleaseFilter filter;
  filter.name = text_parameter(query, "name");
  filter.description = text_parameter(query, "description");
  filter.device_type = text_parameter(query, "device_type");
  filter.update_type = text_parameter(query, "update_type");
  return filter;
}

Result<std::vector<std::string>> tags_parameter(const http::QueryParameters& query) {
  POSTERN_TRY(auto tags, all_values(query, "tag"));
  std::ranges::transform(tags, tags.begin(), [](const std::string& tag) { return to_lower(tag); });
  return tags;
}

/// Which kinds of software are asked for: there are releases only.
Result<bool> wants_releases(const std::vector<std::string>& kinds) {
  bool wants = kinds.empty();
  for (const std::string& kind : kinds) {
    if (kind != "release" && kind != "manifest") return invalid("kind: must be a valid value.");
    wants = wants || kind == "release";
  }
  return wants;
}

json::object software_json(const Release& release) {
  std::set<std::string> types;
  for (const Artifact& artifact : release.artifacts) {
    types.insert(artifact.device_types.begin(), artifact.device_types.end());
  }
  return {{"name", release.name},
          {"modified", to_rfc3339(release.modified)},
          {"tags", texts_json(release.tags)},
          {"notes", release.notes},
          {"kind", "release"},
          {"compatible_types", json::array(types.begin(), types.end())}};
}

}  // namespace

Result<SortParameter> parse_sort(const http::QueryParameters& query) {
  const auto text = http::find_parameter(query, "sort");
  SortParameter sort;
  if (!text || text->empty()) return sort;
  const std::string_view by = text->substr(0, text->find(':'));
  const std::string_view direction = text->size() > by.size() ? text->substr(by.size() + 1) : "asc";
  if (by == "name") {
    sort.by = ReleaseSort::name;
  } else if (by == "modified") {
    sort.by = ReleaseSort::modified;
  } else if (by == "artifacts_count") {
    sort.by = ReleaseSort::artifacts_count;
  } else if (by == "tags") {
    sort.by = ReleaseSort::tags;
  } else {
    return invalid(fmt::format("invalid sort query: \"{}\"", *text));
  }
  if (direction != "asc" && direction != "desc") {
    return invalid(fmt::format("invalid sort query: \"{}\"", *text));
  }
  sort.descending = direction == "desc";
  return sort;
}

Result<std::vector<std::string>> all_values(const http::QueryParameters& query, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : query) {
    if (key == name) values.push_back(value);
  }
  if (values.size() > kValuesMax) {
    return invalid(fmt::format("invalid filter: {} is given more than {} times", name, kValuesMax));
  }
  return values;
}

void Releases::add_routes(http::Router& router, Gate& gate) {
  const auto add = [&](std::string_view path, Answer (Releases::*handler)(http::Request&)) {
    gate.add(router, "GET", path, *this, handler);
  };
  const auto change = [&](std::string_view method, const std::string& path,
                          Answer (Releases::*handler)(http::Request&, const Session&)) {
    router.add(method, path, gate.for_users([this, handler](http::Request& request, const Session& session) {
      return (this->*handler)(request, session);
    }));
  };
  const std::string v1(kReleasesV1);
  const std::string v2(kReleasesV2);
  add(v1, &Releases::list_first);
  add(v1 + "/list", &Releases::list_page);
  add(v2, &Releases::list);
  add(v2 + "/{name}", &Releases::show);
  add(std::string(kAllReleases) + "/tags", &Releases::list_tags);
  add(std::string(kAllReleases) + "/types", &Releases::list_types);
  add(kSoftware, &Releases::list_software);
  add(std::string(kSoftware) + "/tags", &Releases::list_software_tags);
  change("PATCH", v2 + "/{name}", &Releases::set_notes);
  change("PUT", v2 + "/{name}/tags", &Releases::set_tags);
  change("DELETE", v2, &Releases::erase);
}

net::awaitable<Result<std::vector<Release>>> Releases::find(ReleaseFilter filter, SortParameter sort) {
  std::vector<Release> releases;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(releases, find_releases(tx, filter));
    return {};
  }));
  sort_releases(releases, sort.by, sort.descending);
  co_return releases;
}

Releases::Answer Releases::list_first(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const auto releases, co_await find(to_filter_v1(query), {}));
  co_return releases_answer(slice(releases, Page{}), kKeysV1);
}

Releases::Answer Releases::list_page(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const SortParameter sort, parse_sort(query));
  const Page page = parse_page_leniently(query);
  POSTERN_CO_TRY(const auto releases, co_await find(to_filter_v1(query), sort));
  POSTERN_CO_TRY(auto answer, releases_answer(slice(releases, page), kKeysV1));
  add_total(answer, request, query, page, releases.size());
  co_return answer;
}

Releases::Answer Releases::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const SortParameter sort, parse_sort(query));
  const Page page = parse_page_leniently(query);
  ReleaseFilter filter;
  filter.name = text_parameter(query, "name");
  filter.update_type = text_parameter(query, "update_type");
  POSTERN_CO_TRY(filter.tags, tags_parameter(query));
  POSTERN_CO_TRY(const auto releases, co_await find(std::move(filter), sort));
  POSTERN_CO_TRY(auto answer, releases_answer(slice(releases, page), kKeysV2));
  add_total(answer, request, query, page, releases.size());
  co_return answer;
}

Releases::Answer Releases::show(http::Request& request) {
  std::optional<Release> release;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(release, get_release(tx, request.parameter("name")));
    return {};
  }));
  POSTERN_CO_TRY(const auto body, release_json(*release, kKeysV2));
  co_return http::json_answer(200, body);
}

Releases::Answer Releases::answer_texts(Result<std::vector<std::string>> (*read)(const ReadTx&)) {
  std::vector<std::string> texts;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(texts, read(tx));
    return {};
  }));
  co_return http::json_answer(200, texts_json(texts));
}

Releases::Answer Releases::list_tags(http::Request&) {
  co_return co_await answer_texts(&all_release_tags);
}

Releases::Answer Releases::list_types(http::Request&) {
  co_return co_await answer_texts(&all_update_types);
}

Releases::Answer Releases::set_notes(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const auto body, co_await http::read_json(request, kBodyBytesMax));
  if (!body.is_object()) co_return invalid("failed to decode request body: no JSON object");
  POSTERN_CO_TRY(const std::string notes, http::string_member(body.get_object(), "notes"));
  const Change change{.user_id = session.user_id, .at = clock_.wall()};
  POSTERN_CO_CHECK(co_await store_.transact(
      [&](WriteTx& tx) { return set_release_notes(tx, request.parameter("name"), notes, change); }));
  co_return http::Response::empty(204);
}

Releases::Answer Releases::set_tags(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const auto body, co_await http::read_json(request, kBodyBytesMax));
  if (!body.is_array()) co_return invalid("failed to decode request body: no JSON array");
  std::vector<std::string> tags;
  for (const json::value& tag : body.get_array()) {
    if (!tag.is_string()) co_return invalid("failed to decode request body: a tag is not a string");
    tags.emplace_back(tag.get_string());
  }
  const Change change{.user_id = session.user_id, .at = clock_.wall()};
  POSTERN_CO_CHECK(co_await store_.transact(
      [&](WriteTx& tx) { return set_release_tags(tx, request.parameter("name"), tags, change); }));
  co_return http::Response::empty(204);
}

Releases::Answer Releases::erase(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  std::vector<std::string> names;
  for (const auto& [key, value] : query) {
    if (key == "name" && !value.empty()) names.push_back(value);
  }
  POSTERN_CO_TRY(const auto used_by, co_await removal_.remove_releases(std::move(names), session.user_id));
  if (used_by.empty()) co_return http::Response::empty(204);
  co_return http::json_answer(409, json::object{{"error", "release(s) used in active deployment"},
                                                {"request_id", request.id},
                                                {"active_deployments", texts_json(used_by)}});
}

Releases::Answer Releases::list_software(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page(query));
  POSTERN_CO_TRY(const SortParameter sort, parse_sort(query));
  POSTERN_CO_TRY(const auto kinds, all_values(query, "kind"));
  POSTERN_CO_TRY(const bool has_releases, wants_releases(kinds));
  ReleaseFilter filter;
  POSTERN_CO_TRY(filter.names, all_values(query, "name"));
  filter.name_prefix = text_parameter(query, "name_prefix");
  if (!filter.names.empty() && !filter.name_prefix.empty()) {
    co_return invalid("invalid filter: cannot filter by both name and name_prefix");
  }
  filter.update_type = text_parameter(query, "update_type");
  POSTERN_CO_TRY(filter.tags, tags_parameter(query));
  std::vector<Release> releases;
  if (has_releases) {
    POSTERN_CO_TRY(releases, co_await find(std::move(filter), sort));
  }
  json::array items;
  for (const Release& release : slice(releases, page)) items.push_back(software_json(release));
  http::Response answer = http::json_answer(200, items);
  add_total(answer, request, query, page, releases.size());
  co_return answer;
}

Releases::Answer Releases::list_software_tags(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const auto kinds, all_values(query, "kind"));
  if (kinds.size() > 1) co_return invalid("kind: at most one can be given.");
  POSTERN_CO_TRY(const bool has_releases, wants_releases(kinds));
  if (!has_releases) co_return http::json_answer(200, json::array{});
  co_return co_await answer_texts(&all_release_tags);
}

}  // namespace postern::cloud::management
