// Makes room in the cache: which artifact goes, and how it goes.
#pragma once

#include <functional>

#include "gateway/cache/catalog.hpp"
#include "gateway/cache/chunk_store.hpp"
#include "gateway/metrics.hpp"
#include "shared/base/log.hpp"

namespace postern::gateway {

/// What the order of eviction depends on.
struct EvictionCandidate {
  ArtifactKey key{};
  std::string group;  ///< empty: in none
  WallTime first_seen;
  WallTime last_used;
  bool is_pinned = false;
  bool is_busy = false;  ///< being read or filled
};

/// Who may go, and in which order. The newest `keep_last` artifacts of a group, by when they were first heard
/// of, stay; older ones of a group with more go first; then whatever was used longest ago. What is pinned or
/// busy stays.
std::vector<ArtifactKey> eviction_order(std::vector<EvictionCandidate> candidates, unsigned keep_last);

/// Thread-safe.
class Evictor {
 public:
  /// Makes sure that nobody reads or fills an artifact from what is known of it now; false when somebody
  /// does.
  using Retire = std::function<bool(const ArtifactKey& key)>;

  Evictor(Catalog& catalog, ChunkStore& chunks, Pool& pool, Metrics& metrics, Log& log, unsigned keep_last,
          Retire is_busy, Retire retire)
      : catalog_(catalog),
        chunks_(chunks),
        pool_(pool),
        metrics_(metrics),
        log_(log),
        keep_last_(keep_last),
        is_busy_(std::move(is_busy)),
        retire_(std::move(retire)) {}

  /// Evicts artifacts until so many chunks can be put. Errors: exhausted, when what is left is in use or is
  /// to be kept; those of the stores.
  net::awaitable<Status> make_room(std::size_t chunks);
  /// Removes what is here of one artifact, except for chunks that others need. Whoever calls has retired it.
  net::awaitable<Result<ChunkStore::Removed>> remove(ArtifactKey key);
  /// Removes chunks from the store unless an artifact needs them.
  net::awaitable<Result<ChunkStore::Removed>> remove_unneeded(std::vector<Digest> chunks);
  /// Brings marks and chunks into agreement after an unclean end: chunks that no artifact needs go, and so do
  /// marks whose chunk is not there. Then evicts down to a quota that has become smaller, and gives room back
  /// to the disk. In slices.
  net::awaitable<Result<ChunkStore::Removed>> collect();

 private:
  Result<std::vector<EvictionCandidate>> candidates() const;
  net::awaitable<Status> evict_until(std::function<bool()> is_enough);
  net::awaitable<Status> remove_dangling_marks();

  Catalog& catalog_;
  ChunkStore& chunks_;
  Pool& pool_;
  Metrics& metrics_;
  Log& log_;
  const unsigned keep_last_;
  const Retire is_busy_;
  const Retire retire_;
  Turns turns_;
};

}  // namespace postern::gateway
