// What the gateway finds out about artifacts by itself: links for a prefetch, a fresh link when no device can
// be asked in whose name, and what an artifact has to be.
#pragma once

#include "gateway/upstream/finder.hpp"

namespace postern::gateway {

/// Thread-safe; runs where Upstream runs.
class ArtifactLookup {
 public:
  /// Without a finder only URLs can be resolved.
  ArtifactLookup(ArtifactFinder* finder, Upstream& upstream, Catalog& catalog, Log& log)
      : finder_(finder), upstream_(upstream), catalog_(catalog), log_(log) {}

  /// The artifacts that are meant by a name, or by a URL that may be fetched from; known to the catalog when
  /// it returns. Errors: not_found, forbidden (host), invalid; those of the finder and of the catalog.
  net::awaitable<Result<std::vector<CachedArtifact>>> resolve(std::string name_or_url);
  /// Gives the catalog a fresh link to an artifact that it knows. Errors as resolve().
  net::awaitable<Status> renew(ArtifactKey key);

 private:
  ArtifactFinder* finder_;
  Upstream& upstream_;
  Catalog& catalog_;
  Log& log_;
};

/// Whether a text means a place, and no name.
bool is_url(std::string_view text);

}  // namespace postern::gateway
