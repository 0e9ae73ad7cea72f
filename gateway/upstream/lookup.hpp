// What the gateway finds out about artifacts by itself: links for a prefetch, a fresh link when no device can
// be asked in whose name, and what an artifact has to be.
#pragma once

#include <mutex>
#include <set>

#include "gateway/upstream/finder.hpp"
#include "shared/async/task_scope.hpp"

namespace postern::gateway {

/// Thread-safe; runs where Upstream runs.
class ArtifactLookup {
 public:
  /// Without a finder only URLs can be resolved. What learn() begins runs on `executor`.
  ArtifactLookup(ArtifactFinder* finder, Upstream& upstream, Catalog& catalog, Clock& clock, Log& log,
                 const net::any_io_executor& executor)
      : finder_(finder),
        upstream_(upstream),
        catalog_(catalog),
        clock_(clock),
        log_(log),
        executor_(executor),
        scope_(executor, log) {}

  /// The artifacts that are meant by a name, or by a URL that may be fetched from; known to the catalog when
  /// it returns. Errors: not_found, forbidden (host), invalid; those of the finder and of the catalog.
  net::awaitable<Result<std::vector<CachedArtifact>>> resolve(std::string name_or_url);
  /// Gives the catalog a fresh link to an artifact that it knows. Errors as resolve().
  net::awaitable<Status> renew(ArtifactKey key);
  /// Has the upstream asked, beside whatever goes on, what an artifact has to be; once, unless that fails or
  /// is known already.
  void learn(const ArtifactKey& key);
  /// Ends what learn() has begun. Runs on: the executor. Errors: exhausted.
  net::awaitable<Status> stop();

 private:
  net::awaitable<void> ask_about(ArtifactKey key);

  ArtifactFinder* finder_;
  Upstream& upstream_;
  Catalog& catalog_;
  Clock& clock_;
  Log& log_;
  const net::any_io_executor executor_;
  std::mutex mutex_;
  std::set<ArtifactKey> asked_;  ///< what ask_about() was begun for; bounded
  TaskScope scope_;
};

/// Whether a text means a place, and no name.
bool is_url(std::string_view text);

}  // namespace postern::gateway
