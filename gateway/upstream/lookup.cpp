#include "gateway/upstream/lookup.hpp"

#include "shared/http/url.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kAskedMax = 1000;
constexpr Duration kUnwind = std::chrono::seconds(5);

/// The last part of a path, as a name for what lies there.
std::string name_in(const http::Url& url) {
  std::string path = url.target.substr(0, url.target.find('?'));
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

bool is_url(std::string_view text) {
  return text.starts_with("https://") || text.starts_with("http://");
}

net::awaitable<Result<std::vector<CachedArtifact>>> ArtifactLookup::resolve(std::string name_or_url) {
  std::vector<CachedArtifact> artifacts;
  if (is_url(name_or_url)) {
    POSTERN_CO_TRY(const http::Url url, http::Url::parse(name_or_url));
    if (!upstream_.may_fetch(url)) {
      co_return rejected(
          Reason::forbidden,
          fmt::format("host {} is neither the upstream server nor in DomainWhitelist", url.endpoint.host));
    }
    POSTERN_CO_TRY(artifacts.emplace_back(), describe_artifact(upstream_, "", name_in(url), name_or_url));
  } else {
    if (finder_ == nullptr) {
      co_return invalid(
          "the upstream can be asked for an artifact with a certificate (Postern.Upstream) or as a user "
          "(Features.mTLS.MenderUsername) only, and neither is configured: give a URL");
    }
    POSTERN_CO_TRY(const auto found, co_await finder_->find_by_name(name_or_url));
    for (const FoundArtifact& artifact : found) {
      POSTERN_CO_TRY(CachedArtifact described,
                     describe_artifact(upstream_, artifact.id, artifact.name, artifact.uri));
      described.expected_size_bytes = artifact.size_bytes;
      described.expected_digest = artifact.digest;
      artifacts.push_back(std::move(described));
    }
  }
  for (const CachedArtifact& artifact : artifacts) POSTERN_CO_CHECK(co_await catalog_.note_source(artifact));
  co_return artifacts;
}

net::awaitable<Status> ArtifactLookup::renew(ArtifactKey key) {
  POSTERN_CO_TRY(auto known, catalog_.find(key));
  if (!known) co_return not_found(fmt::format("no artifact {} is known here", to_text(key)));
  if (finder_ == nullptr || is_url(known->artifact_id)) {
    co_return not_found("nobody can be asked for a fresh link to it");
  }
  POSTERN_CO_TRY(FoundArtifact found, co_await finder_->find_by_id(known->artifact_id));
  known->source_uri = std::move(found.uri);
  if (found.size_bytes > 0) known->expected_size_bytes = found.size_bytes;
  if (found.digest) known->expected_digest = found.digest;
  log_.info("upstream.link_found", {{"artifact", known->name}});
  co_return co_await catalog_.note_source(*std::move(known));
}

void ArtifactLookup::learn(const ArtifactKey& key) {
  if (finder_ == nullptr || !finder_->tells_digests()) return;
  {
    const std::lock_guard lock(mutex_);
    if (asked_.size() >= kAskedMax) asked_.clear();
    if (!asked_.insert(key).second) return;
  }
  scope_.spawn(executor_, "lookup.learn", ask_about(key));
}

net::awaitable<void> ArtifactLookup::ask_about(ArtifactKey key) {
  const auto known = catalog_.find(key);
  if (!known || !*known || (*known)->expected_digest) co_return;
  if (auto learned = co_await renew(key); !learned) {
    log_.debug("upstream.artifact_not_learned", {{"key", to_text(key)}, {"error", learned.error().what}});
    const std::lock_guard lock(mutex_);
    asked_.erase(key);
  }
}

net::awaitable<Status> ArtifactLookup::stop() {
  scope_.stop(net::cancellation_type::terminal);
  co_return co_await scope_.join(clock_, kUnwind);
}

}  // namespace postern::gateway
