#include "cloud/api/management/artifacts.hpp"

#include <charconv>

#include <boost/json.hpp>

#include "cloud/api/management/paging.hpp"
#include "cloud/api/management/releases.hpp"
#include "cloud/releases/releases.hpp"
#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/multipart.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::string_view kArtifacts = "/api/management/v1/deployments/artifacts";
constexpr std::string_view kArtifactsV2 = "/api/management/v2/deployments/artifacts";
constexpr std::string_view kLimits = "/api/management/v1/deployments/limits";
/// Of a link that an operator is given.
constexpr std::chrono::seconds kLinkLifetime{900};
constexpr std::size_t kPerPageMax = 500;
constexpr std::size_t kBodyBytesMax = 1 << 20;
constexpr std::size_t kSizeCharactersMax = 20;
constexpr std::size_t kDescriptionBytesMax = 16 << 10;

json::array to_json(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

Result<json::object> update_of(const Artifact& artifact) {
  json::object update;
  update["type_info"] = {
      {"type", artifact.payload_type ? json::value(*artifact.payload_type) : json::value()}};
  json::array files;
  for (const ArtifactFile& file : artifact.files) {
    files.push_back({{"name", file.name},
                     {"checksum", file.checksum},
                     {"size", file.size_bytes},
                     {"date", to_rfc3339(file.modified)}});
  }
  update["files"] = std::move(files);
  if (artifact.meta_data.empty()) return update;
  auto meta_data = http::parse_json(artifact.meta_data);
  if (!meta_data || !meta_data->is_object()) {
    return corrupt(fmt::format("meta-data of artifact {} is no JSON object", artifact.id));
  }
  // The older form is a list; a client aborts on anything else there (management-api 4.1).
  json::array pairs;
  for (const auto& [key, value] : meta_data->get_object()) pairs.push_back({{"Key", key}, {"Value", value}});
  update["meta_data"] = std::move(pairs);
  update["metadata"] = *std::move(meta_data);
  return update;
}

struct ArtifactQuery {
  std::string name;
  std::string description;
  std::string device_type;

  bool matches(const Artifact& artifact) const {
    const auto has_type = [&] {
      return std::ranges::any_of(artifact.device_types, [&](const std::string& type) {
        return contains_ignoring_case(type, device_type);
      });
    };
    return contains_ignoring_case(artifact.name, name) &&
           contains_ignoring_case(artifact.description, description) && (device_type.empty() || has_type());
  }
};

ArtifactQuery to_artifact_query(const http::QueryParameters& query) {
  const auto text = [&](std::string_view name) {
    return std::string(http::find_parameter(query, name).value_or(""));
  };
  return {.name = text("name"), .description = text("description"), .device_type = text("device_type")};
}

Result<std::vector<Artifact>> matching(const ReadTx& tx, const ArtifactQuery& query) {
  POSTERN_TRY(auto all, tx.artifacts().list());
  std::erase_if(all, [&](const Artifact& artifact) { return !query.matches(artifact); });
  return all;
}

Result<json::array> to_json(std::span<const Artifact> artifacts) {
  json::array items;
  for (const Artifact& artifact : artifacts) {
    POSTERN_TRY(auto item, management::to_json(artifact));
    items.push_back(std::move(item));
  }
  return items;
}

void sort_artifacts(std::vector<Artifact>& artifacts, const SortParameter& sort) {
  // Only releases have a count of artifacts, or tags.
  const auto key = [&](const Artifact& artifact) {
    const WallTime modified = sort.by == ReleaseSort::modified ? artifact.modified : WallTime{};
    return std::tuple<WallTime, const std::string&, const std::string&>(modified, artifact.name, artifact.id);
  };
  std::ranges::sort(artifacts, [&](const Artifact& a, const Artifact& b) {
    return sort.descending ? key(b) < key(a) : key(a) < key(b);
  });
}

/// A text that has to be there exactly, or, with a star behind it, as a beginning in any case. `\*` at the
/// end is a star (management-api 4.4).
class Pattern {
 public:
  explicit Pattern(std::string_view text) : text_(text) {
    if (text_.ends_with("\\*")) {
      text_.erase(text_.size() - 2, 1);
    } else if (text_.ends_with('*')) {
      text_.pop_back();
      text_ = to_lower(text_);
      is_prefix_ = true;
    }
  }
  bool is_prefix() const { return is_prefix_; }
  bool matches(std::string_view text) const {
    return is_prefix_ ? to_lower(text).starts_with(text_) : text == text_;
  }

 private:
  std::string text_;
  bool is_prefix_ = false;
};

/// The filter of v2; empty lists do not filter.
struct ArtifactFilter {
  std::vector<Pattern> names;
  std::vector<Pattern> descriptions;
  std::vector<Pattern> device_types;

  bool matches(const Artifact& artifact) const {
    return is_like(names, artifact.name) && is_like(descriptions, artifact.description) &&
           std::ranges::any_of(artifact.device_types,
                               [&](const std::string& type) { return is_like(device_types, type); });
  }

 private:
  static bool is_like(const std::vector<Pattern>& patterns, std::string_view text) {
    return patterns.empty() ||
           std::ranges::any_of(patterns, [&](const Pattern& pattern) { return pattern.matches(text); });
  }
};

Result<ArtifactFilter> parse_filter(const http::QueryParameters& query) {
  ArtifactFilter filter;
  POSTERN_TRY(const auto names, all_values(query, "name"));
  for (const std::string& name : names) filter.names.emplace_back(name);
  const auto prefixes = std::ranges::count_if(filter.names, &Pattern::is_prefix);
  if (prefixes > 1) return invalid("invalid filter: cannot filter by several name prefixes");
  if (prefixes == 1 && filter.names.size() > 1) {
    return invalid("invalid filter: cannot filter by both exact names and name prefix");
  }
  if (const auto text = http::find_parameter(query, "description")) filter.descriptions.emplace_back(*text);
  if (const auto text = http::find_parameter(query, "device_type")) filter.device_types.emplace_back(*text);
  return filter;
}

/// Junk counts as the default, but a page that is too large is refused.
Result<Page> parse_page_v2(const http::QueryParameters& query) {
  const std::string_view text = http::find_parameter(query, "per_page").value_or("");
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error == std::errc{} && end == text.data() + text.size() && size > kPerPageMax) {
    return invalid(fmt::format("parameter \"per_page\" above limit (max: {})", kPerPageMax));
  }
  return parse_page_leniently(query);
}

Status check_id(const std::string& id) {
  return is_uuid(id) ? Status{} : invalid("ID is not a valid UUID");
}

/// Reads the parts before the artifact. False: there is no artifact.
net::awaitable<Result<bool>> read_upload_fields(http::MultipartReader& parts, UploadOptions& options) {
  for (;;) {
    POSTERN_CO_TRY(const bool has_part, co_await parts.next_part());
    if (!has_part) co_return false;
    const std::string name = to_lower(parts.name());
    if (name == "artifact") co_return true;
    if (name == "size") {
      POSTERN_CO_TRY(const std::string text, co_await parts.read_text(kSizeCharactersMax));
      std::uint64_t size = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
      if (error != std::errc{} || end != text.data() + text.size())
        co_return invalid("size: must be a number");
      options.size_bytes = size;
    } else if (name == "description") {
      POSTERN_CO_TRY(options.description, co_await parts.read_text(kDescriptionBytesMax));
    } else if (name == "artifact_id") {
      POSTERN_CO_TRY(options.id, co_await parts.read_text(kDescriptionBytesMax));
      if (!is_uuid(options.id)) co_return invalid("artifact_id is not a valid UUID");
    }
  }
}

http::Response conflict_answer(const UploadConflict& conflict, const http::Request& request) {
  json::object body{{"error", "an artifact with the same name and depends already exists"},
                    {"request_id", request.id}};
  if (!conflict.combination.empty()) {
    json::object combination;
    for (const auto& [key, value] : conflict.combination) combination[key] = value;
    body["metadata"] = {{"conflict", std::move(combination)}};
  }
  return http::json_answer(409, body);
}

}  // namespace

Result<json::object> to_json(const Artifact& artifact) {
  json::object depends;
  for (const auto& [key, values] : artifact.depends) depends[key] = to_json(values);
  depends["device_type"] = to_json(artifact.device_types);
  json::object provides;
  for (const auto& [key, value] : artifact.provides) provides[key] = value;
  POSTERN_TRY(auto update, update_of(artifact));
  return json::object{{"id", artifact.id},
                      {"name", artifact.name},
                      {"description", artifact.description},
                      {"device_types_compatible", to_json(artifact.device_types)},
                      {"info", {{"format", "mender"}, {"version", 3}}},
                      {"signed", artifact.is_signed},
                      {"updates", json::array{std::move(update)}},
                      {"artifact_provides", std::move(provides)},
                      {"artifact_depends", std::move(depends)},
                      {"clears_artifact_provides", to_json(artifact.clears_provides)},
                      {"size", artifact.size_bytes},
                      {"modified", to_rfc3339(artifact.modified)}};
}

void Artifacts::add_routes(http::Router& router, Gate& gate) {
  const auto add = [&](std::string_view method, const std::string& path,
                       Answer (Artifacts::*handler)(http::Request&)) {
    gate.add(router, method, path, *this, handler);
  };
  const std::string artifacts(kArtifacts);
  const auto change = [&](std::string_view method, const std::string& path,
                          Answer (Artifacts::*handler)(http::Request&, const Session&)) {
    router.add(method, path, gate.for_users([this, handler](http::Request& request, const Session& session) {
      return (this->*handler)(request, session);
    }));
  };
  change("POST", artifacts, &Artifacts::upload);
  add("GET", artifacts, &Artifacts::list);
  add("GET", artifacts + "/list", &Artifacts::list_page);
  add("GET", artifacts + "/{id}", &Artifacts::show);
  add("GET", artifacts + "/{id}/download", &Artifacts::link);
  change("PUT", artifacts + "/{id}", &Artifacts::edit);
  change("DELETE", artifacts + "/{id}", &Artifacts::erase);
  add("POST", artifacts + "/directupload", &Artifacts::direct_upload);
  add("GET", std::string(kArtifactsV2), &Artifacts::list_v2);
  add("GET", std::string(kLimits) + "/{name}", &Artifacts::limit);
}

Artifacts::Answer Artifacts::upload(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(auto boundary,
                 http::MultipartReader::boundary_of(request.headers.find("Content-Type").value_or("")));
  http::MultipartReader parts(*request.body, std::move(boundary));
  UploadOptions options;
  options.user_id = session.user_id;
  POSTERN_CO_TRY(const bool has_artifact, co_await read_upload_fields(parts, options));
  if (!has_artifact) co_return invalid("request does not contain the artifact file");
  POSTERN_CO_TRY(const auto outcome,
                 co_await services_.intake.take([&] { return parts.read(); }, std::move(options)));
  if (const auto* conflict = std::get_if<UploadConflict>(&outcome))
    co_return conflict_answer(*conflict, request);
  http::Response answer = http::Response::empty(201);
  answer.headers.set("Location", fmt::format("{}/{}", kArtifacts, std::get<Artifact>(outcome).id));
  co_return answer;
}

Artifacts::Answer Artifacts::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  std::vector<Artifact> artifacts;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(artifacts, matching(tx, to_artifact_query(query)));
    return {};
  }));
  POSTERN_CO_TRY(const auto items, to_json(std::span<const Artifact>(artifacts)));
  co_return http::json_answer(200, items);
}

Artifacts::Answer Artifacts::list_page(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const SortParameter sort, parse_sort(query));
  const Page page = parse_page_leniently(query);
  std::vector<Artifact> artifacts;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(artifacts, matching(tx, to_artifact_query(query)));
    return {};
  }));
  sort_artifacts(artifacts, sort);
  POSTERN_CO_TRY(const auto items, to_json(slice(artifacts, page)));
  http::Response answer = http::json_answer(200, items);
  add_total(answer, request, query, page, artifacts.size());
  co_return answer;
}

Artifacts::Answer Artifacts::show(http::Request& request) {
  const std::string& id = request.parameter("id");
  POSTERN_CO_CHECK(check_id(id));
  std::optional<Artifact> artifact;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(artifact, tx.artifacts().find(id));
    return {};
  }));
  if (!artifact) co_return not_found("Resource not found");
  POSTERN_CO_TRY(const auto body, management::to_json(*artifact));
  co_return http::json_answer(200, body);
}

Artifacts::Answer Artifacts::list_v2(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const Page page, parse_page_v2(query));
  POSTERN_CO_TRY(const ArtifactFilter filter, parse_filter(query));
  std::vector<Artifact> artifacts;  // by name
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(artifacts, tx.artifacts().list());
    return {};
  }));
  std::erase_if(artifacts, [&](const Artifact& artifact) { return !filter.matches(artifact); });
  POSTERN_CO_TRY(const auto items, to_json(slice(artifacts, page)));
  http::Response answer = http::json_answer(200, items);
  add_links(answer, request, query, page, page.skip() + page.size < artifacts.size(), std::nullopt);
  co_return answer;
}

Artifacts::Answer Artifacts::edit(http::Request& request, const Session& session) {
  const std::string& id = request.parameter("id");
  POSTERN_CO_CHECK(check_id(id));
  POSTERN_CO_TRY(const auto body, co_await http::read_json(request, kBodyBytesMax));
  if (!body.is_object()) co_return invalid("failed to decode request body: no JSON object");
  POSTERN_CO_TRY(const std::string description, http::string_member(body.get_object(), "description"));
  // Read before, as there may be many deployments; one that comes meanwhile is not finished and is found by
  // the edit itself.
  bool is_used = false;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(is_used, is_in_any_deployment(tx, id));
    return {};
  }));
  if (is_used) co_return rejected(Reason::unprocessable, "Image has already been used in deployment");
  const Change change{.user_id = session.user_id, .at = services_.clock.wall()};
  POSTERN_CO_CHECK(
      co_await store_.transact([&](WriteTx& tx) { return edit_artifact(tx, id, description, change); }));
  co_return http::Response::empty(204);
}

Artifacts::Answer Artifacts::erase(http::Request& request, const Session& session) {
  const std::string& id = request.parameter("id");
  POSTERN_CO_CHECK(check_id(id));
  POSTERN_CO_CHECK(co_await services_.removal.remove(id, session.user_id));
  co_return http::Response::empty(204);
}

Artifacts::Answer Artifacts::link(http::Request& request) {
  const std::string& id = request.parameter("id");
  POSTERN_CO_CHECK(check_id(id));
  std::optional<Artifact> artifact;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(artifact, tx.artifacts().find(id));
    return {};
  }));
  if (!artifact) co_return not_found("Resource not found");
  const auto file = co_await services_.pool.run([&] { return services_.blobs.read(id, 0, 0); });
  if (!file) co_return corrupt(fmt::format("file of artifact {}: {}", id, file.error().what));
  const CloudPlane::SignedLink signed_link = services_.plane.sign(download_path(id), kLinkLifetime);
  co_return http::json_answer(
      200,
      json::object{{"uri", signed_link.uri}, {"expire", to_rfc3339(signed_link.expires)}, {"method", "GET"}});
}

Artifacts::Answer Artifacts::direct_upload(http::Request&) {
  // Artifacts come through the server, which verifies them on the way; without this route the word would be
  // taken for an id.
  co_return not_found("not found");
}

Artifacts::Answer Artifacts::limit(http::Request& request) {
  const std::string& name = request.parameter("name");
  if (name != "storage") co_return invalid(fmt::format("unsupported limit {}", name));
  std::uint64_t usage = 0;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(usage, tx.artifacts().total_bytes());
    return {};
  }));
  co_return http::json_answer(200, json::object{{"limit", storage_bytes_max_}, {"usage", usage}});
}

}  // namespace postern::cloud::management
