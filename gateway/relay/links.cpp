#include "gateway/relay/links.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kInstructionBytesMax = 1 << 20;

std::string download_path(const ArtifactKey& key) {
  return fmt::format("{}{}", kDownloadRoute.substr(0, kDownloadRoute.find('{')), to_text(key));
}

}  // namespace

Result<CachedArtifact> Links::describe(const InstructionLink& link) const {
  POSTERN_TRY(CachedArtifact artifact,
              describe_artifact(upstream_, link.artifact_id, link.artifact_name, link.uri));
  POSTERN_TRY(const http::Url url, http::Url::parse(link.uri));
  artifact.is_private = is_configuration_link(url);
  return artifact;
}

net::awaitable<Result<Handover>> Links::take_over(boost::json::value& instruction, Poll poll) {
  if (!options_.enabled) co_return Handover::done;
  const auto link = read_instruction(instruction);
  if (!link) {
    log_.warn("relay.instruction_not_understood", {{"error", link.error().what}});
    co_return Handover::done;
  }
  const auto url = http::Url::parse(link->uri);
  if (!url || !upstream_.may_fetch(*url)) {
    log_.warn("relay.link_not_taken_over",
              {{"deployment", link->deployment_id},
               {"artifact", link->artifact_name},
               {"host", url ? url->endpoint.host : "?"},
               {"error", "its host is neither the upstream server nor in DomainWhitelist"}});
    co_return Handover::done;
  }
  POSTERN_CO_TRY(const CachedArtifact artifact, describe(*link));
  POSTERN_CO_CHECK(co_await catalog_.note_source(artifact));
  polls_.note(artifact.key, std::move(poll));
  POSTERN_CO_TRY(const bool is_servable, options_.is_wanted(artifact.key));
  if (!is_servable) {
    log_.info("relay.artifact_not_servable",
              {{"deployment", link->deployment_id}, {"artifact", link->artifact_name}});
    co_return Handover::later;
  }
  const WallTime expires = clock_.wall() + options_.lifetime;
  set_link(instruction, options_.gateway_url + signer_.sign(download_path(artifact.key), expires),
           to_rfc3339(expires));
  co_return Handover::done;
}

net::awaitable<Status> Links::renew(ArtifactKey key) {
  const auto poll = polls_.find(key);
  if (!poll) co_return not_found("no device is known that was told to install it");
  POSTERN_CO_TRY(auto response, co_await upstream_.send(poll->to_request()));
  POSTERN_CO_TRY(const std::string body, co_await http::read_all(*response.body, kInstructionBytesMax));
  if (response.status != 200) {
    co_return not_found(
        fmt::format("the upstream answers {} where it gave out a link before", response.status));
  }
  POSTERN_CO_TRY(const auto instruction, http::parse_json(body));
  POSTERN_CO_TRY(const InstructionLink link, read_instruction(instruction));
  POSTERN_CO_TRY(const CachedArtifact artifact, describe(link));
  if (artifact.key != key) co_return not_found("the device has another deployment now");
  log_.info("relay.link_renewed", {{"artifact", artifact.name}, {"deployment", link.deployment_id}});
  co_return co_await catalog_.note_source(artifact);
}

}  // namespace postern::gateway
