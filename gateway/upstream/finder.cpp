#include "gateway/upstream/finder.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"
#include "shared/http/url.hpp"

namespace postern::gateway {
namespace {

namespace json = boost::json;

constexpr std::string_view kGatewayArtifacts = "/api/gateways/v1/artifacts";
constexpr std::string_view kManagementArtifacts = "/api/management/v1/deployments/artifacts";
/// Artifacts of one name.
constexpr std::size_t kFoundMax = 100;

Error nothing_found(std::string_view what, const std::string& which) {
  return not_found(fmt::format("the upstream has no artifact with the {} \"{}\"", what, which));
}

Result<json::value> parse_answer(std::string_view call, const ManagementSession::Answer& answer) {
  if (answer.status == 401) return unauthorized(fmt::format("the upstream refuses {}", call));
  if (answer.status != 200) return unexpected_answer(call, answer.status, answer.body);
  auto parsed = http::parse_json(answer.body);
  if (!parsed) return transient(fmt::format("the answer to {}: {}", call, parsed.error().what));
  return parsed;
}

/// The members that both interfaces have.
Result<FoundArtifact> read_artifact(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return transient("the upstream describes an artifact by something else");
  FoundArtifact artifact;
  POSTERN_TRY(artifact.id, http::string_member(*object, "id"));
  POSTERN_TRY(artifact.name, http::string_member(*object, "name"));
  POSTERN_TRY(artifact.uri, http::string_member(*object, "uri"));
  POSTERN_TRY(const std::string digest, http::string_member(*object, "sha256"));
  if (const json::value* size = object->if_contains("size"); size != nullptr && size->is_int64()) {
    artifact.size_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(0, size->get_int64()));
  }
  if (const auto bytes = from_hex(digest); bytes && bytes->size() == sizeof(Digest)) {
    std::ranges::copy(*bytes, artifact.digest.emplace().begin());
  }
  if (artifact.id.empty()) return transient("the upstream names an artifact without its id");
  return artifact;
}

Result<std::vector<FoundArtifact>> read_artifacts(const json::value& value, std::string_view name) {
  const json::array* all = value.if_array();
  if (all == nullptr) return transient("the upstream's list of artifacts is none");
  std::vector<FoundArtifact> found;
  for (const json::value& element : *all) {
    POSTERN_TRY(FoundArtifact artifact, read_artifact(element));
    // One of the interfaces looks for parts of names.
    if (artifact.name == name && found.size() < kFoundMax) found.push_back(std::move(artifact));
  }
  if (found.empty()) return nothing_found("name", std::string(name));
  return found;
}

http::Request get_request(std::string target) {
  http::Request request;
  request.method = "GET";
  request.target = std::move(target);
  return request;
}

}  // namespace

Result<CachedArtifact> describe_artifact(const Upstream& upstream, const std::string& id,
                                         const std::string& name, const std::string& uri) {
  POSTERN_TRY(const http::Url url, http::Url::parse(uri));
  const std::string known_as =
      !id.empty() ? id : upstream.origin_of(url) + url.target.substr(0, url.target.find('?'));
  CachedArtifact artifact;
  artifact.key = artifact_key(upstream.origin(), known_as);
  artifact.upstream = upstream.origin();
  artifact.artifact_id = known_as;
  artifact.name = name;
  artifact.source_uri = uri;
  return artifact;
}

net::awaitable<Result<ManagementSession::Answer>> CertificateFinder::get(std::string target) {
  http::Request request = get_request(std::move(target));
  request.headers.set("User-Agent", user_agent_);
  POSTERN_CO_TRY(auto response, co_await upstream_.send(std::move(request)));
  POSTERN_CO_TRY(std::string body,
                 co_await http::read_all(*response.body, ManagementSession::kAnswerBytesMax));
  co_return ManagementSession::Answer{.status = response.status, .body = std::move(body)};
}

net::awaitable<Result<std::vector<FoundArtifact>>> CertificateFinder::find_by_name(std::string name) {
  POSTERN_CO_TRY(const auto answer,
                 co_await get(fmt::format("{}?{}", kGatewayArtifacts, http::build_query({{"name", name}}))));
  POSTERN_CO_TRY(const json::value value, parse_answer("the search for an artifact", answer));
  co_return read_artifacts(value, name);
}

net::awaitable<Result<FoundArtifact>> CertificateFinder::find_by_id(std::string id) {
  POSTERN_CO_TRY(const auto answer,
                 co_await get(fmt::format("{}/{}", kGatewayArtifacts, http::percent_encode(id))));
  if (answer.status == 404) co_return nothing_found("id", id);
  POSTERN_CO_TRY(const json::value value, parse_answer("the search for an artifact", answer));
  co_return read_artifact(value);
}

net::awaitable<Result<ManagementSession::Answer>> ManagementFinder::get(std::string target) {
  return session_.send([target = std::move(target)] { return get_request(target); });
}

net::awaitable<Result<std::vector<FoundArtifact>>> ManagementFinder::find_by_name(std::string name) {
  POSTERN_CO_TRY(const auto answer, co_await get(fmt::format("{}?{}", kManagementArtifacts,
                                                             http::build_query({{"name", name}}))));
  POSTERN_CO_TRY(const json::value value, parse_answer("the search for an artifact", answer));
  POSTERN_CO_TRY(auto found, read_artifacts(value, name));
  for (FoundArtifact& artifact : found) {
    POSTERN_CO_TRY(FoundArtifact linked, co_await find_by_id(artifact.id));
    artifact.uri = std::move(linked.uri);
  }
  co_return found;
}

net::awaitable<Result<FoundArtifact>> ManagementFinder::find_by_id(std::string id) {
  POSTERN_CO_TRY(const auto answer,
                 co_await get(fmt::format("{}/{}/download", kManagementArtifacts, http::percent_encode(id))));
  if (answer.status == 404) co_return nothing_found("id", id);
  POSTERN_CO_TRY(const json::value value, parse_answer("the request for a link", answer));
  const json::object* object = value.if_object();
  if (object == nullptr) co_return transient("the upstream's link is none");
  FoundArtifact artifact{.id = std::move(id)};
  POSTERN_CO_TRY(artifact.uri, http::string_member(*object, "uri"));
  if (artifact.uri.empty()) co_return transient("the upstream's link is empty");
  co_return artifact;
}

}  // namespace postern::gateway
