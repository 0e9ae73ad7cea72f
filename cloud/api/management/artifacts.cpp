#include "cloud/api/management/artifacts.hpp"

#include <charconv>

#include <boost/json.hpp>

#include "cloud/api/management/paging.hpp"
#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/multipart.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::string_view kArtifacts = "/api/management/v1/deployments/artifacts";
constexpr std::size_t kSizeCharactersMax = 20;
constexpr std::size_t kDescriptionBytesMax = 16 << 10;

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return to_lower(text).contains(to_lower(part));
}

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

/// Junk counts as the default here (management-api 4.4).
Page parse_page_leniently(const http::QueryParameters& query) {
  return parse_page(query).value_or(Page{});
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
  add("POST", artifacts, &Artifacts::upload);
  add("GET", artifacts, &Artifacts::list);
  add("GET", artifacts + "/list", &Artifacts::list_page);
  add("GET", artifacts + "/{id}", &Artifacts::show);
  add("DELETE", artifacts + "/{id}", &Artifacts::erase);
}

Artifacts::Answer Artifacts::upload(http::Request& request) {
  POSTERN_CO_TRY(auto boundary,
                 http::MultipartReader::boundary_of(request.headers.find("Content-Type").value_or("")));
  http::MultipartReader parts(*request.body, std::move(boundary));
  UploadOptions options;
  POSTERN_CO_TRY(const bool has_artifact, co_await read_upload_fields(parts, options));
  if (!has_artifact) co_return invalid("request does not contain the artifact file");
  POSTERN_CO_TRY(const auto outcome, co_await intake_.take([&] { return parts.read(); }, std::move(options)));
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
  const Page page = parse_page_leniently(query);
  std::vector<Artifact> artifacts;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(artifacts, matching(tx, to_artifact_query(query)));
    return {};
  }));
  POSTERN_CO_TRY(const auto items, to_json(slice(artifacts, page)));
  http::Response answer = http::json_answer(200, items);
  add_total(answer, request, query, page, artifacts.size());
  co_return answer;
}

Artifacts::Answer Artifacts::show(http::Request& request) {
  const std::string& id = request.parameter("id");
  if (!is_uuid(id)) co_return invalid("ID is not a valid UUID");
  std::optional<Artifact> artifact;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(artifact, tx.artifacts().find(id));
    return {};
  }));
  if (!artifact) co_return not_found("Resource not found");
  POSTERN_CO_TRY(const auto body, management::to_json(*artifact));
  co_return http::json_answer(200, body);
}

Artifacts::Answer Artifacts::erase(http::Request& request) {
  const std::string& id = request.parameter("id");
  if (!is_uuid(id)) co_return invalid("ID is not a valid UUID");
  POSTERN_CO_CHECK(co_await intake_.remove(id));
  co_return http::Response::empty(204);
}

}  // namespace postern::cloud::management
