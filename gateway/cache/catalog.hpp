// Which artifacts devices were told to fetch, where they come from, and which of their bytes are here to
// stay.
#pragma once

#include <map>
#include <mutex>

#include "shared/crypto/digest.hpp"
#include "shared/store/database.hpp"

namespace postern::gateway {

/// Names an artifact in links and in the database: a hash over the upstream and its name for the artifact, so
/// that neither a link's signature nor its host matters (decision 18).
using ArtifactKey = std::array<std::byte, 16>;

ArtifactKey artifact_key(std::string_view upstream, std::string_view artifact_id);
std::string to_text(const ArtifactKey& key);
std::optional<ArtifactKey> parse_artifact_key(std::string_view text);

/// Why an artifact is not served, and until when.
struct Quarantine {
  std::string reason;
  unsigned refusals = 0;  ///< in a row
  WallTime refused;
  std::optional<WallTime> retry;  ///< nothing: not without an operator, or something new from the upstream
};

struct CachedArtifact {
  ArtifactKey key{};
  std::string upstream;
  std::string artifact_id;
  std::string name;
  std::uint64_t size_bytes = 0;  ///< 0: not known yet
  std::optional<Digest> digest;  ///< of all of it, once it was verified
  std::string source_uri;
  bool is_private = false;  ///< of one device only, so never kept
  WallTime seen;
  WallTime first_seen;

  // What the upstream says beforehand, as far as it does: what comes is held against it.
  std::uint64_t expected_size_bytes = 0;
  std::optional<Digest> expected_digest;

  std::string policy;  ///< with which keys it was verified: see CacheOptions
  std::string group;   ///< what it updates, known once its header was read; for KeepLast
  bool is_pinned = false;
  WallTime last_used;          ///< see Catalog::note_used
  std::uint64_t revision = 0;  ///< counts how often its content was forgotten
  std::optional<Quarantine> quarantine;
};

/// A durable part of an artifact.
struct SegmentMark {
  std::uint32_t number = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  Digest digest{};
};

/// Where the scrubber is in its round over the chunks.
struct ScrubPlace {
  std::optional<Digest> chunk;  ///< the last one that was looked at
  WallTime begun;
};

/// Records in LMDB; sources and times of use also in memory. For each chunk it is known which artifacts need
/// it, in the same commit as their marks. Thread-safe. Errors of what changes one artifact: not_found.
class Catalog {
 public:
  Catalog(Database& database, Clock& clock) : database_(database), clock_(clock) {}

  /// Remembers that an artifact can be fetched from `uri`. Durable when it returns, for a new artifact; a
  /// fresh link for a known one is written once in ten minutes. Another place, size or digest than before
  /// ends a quarantine; another digest than that of what is here makes that worthless.
  net::awaitable<Status> note_source(CachedArtifact artifact);
  /// The newest known link.
  Result<std::string> source_of(const ArtifactKey& key) const;

  Result<std::optional<CachedArtifact>> find(const ArtifactKey& key) const;
  /// Every artifact, in the order of the keys. May be long: run it on the pool.
  Result<std::vector<CachedArtifact>> all() const;
  Result<std::vector<SegmentMark>> segments_of(const ArtifactKey& key) const;
  /// Which artifacts need this chunk.
  Result<std::vector<ArtifactKey>> references_of(const Digest& chunk) const;

  net::awaitable<Status> note_size(ArtifactKey key, std::uint64_t size_bytes);
  /// All of it is here and true; ends a quarantine.
  net::awaitable<Status> note_verified(ArtifactKey key, Digest digest, std::string policy, std::string group);
  net::awaitable<Status> add_segments(ArtifactKey key, std::vector<SegmentMark> segments);
  /// Their chunks are gone.
  net::awaitable<Status> remove_segments(ArtifactKey key, std::vector<SegmentMark> segments);
  /// Forgets all segments; returns which chunks they named, each of which somebody else may need too.
  net::awaitable<Result<std::vector<Digest>>> remove_segments(ArtifactKey key);
  /// Forgets size, digest and segments: what was here is not what the upstream has, or has to make room.
  net::awaitable<Result<std::vector<Digest>>> forget_content(ArtifactKey key);
  /// Notes one more refusal. The n-th of `pauses` passes before it may be fetched again.
  net::awaitable<Status> quarantine(ArtifactKey key, std::string reason, std::vector<Duration> pauses);
  net::awaitable<Status> end_quarantine(ArtifactKey key);
  net::awaitable<Status> set_pinned(ArtifactKey key, bool is_pinned);
  /// Removes artifacts that were seen and used before `limit` only, and of which nothing is here.
  net::awaitable<Status> forget_older(WallTime limit);

  /// It was used now. Kept in memory until flush_used() (decision 20).
  void note_used(const ArtifactKey& key);
  net::awaitable<Status> flush_used();

  Result<std::optional<ScrubPlace>> scrub_place() const;
  net::awaitable<Status> note_scrub_place(ScrubPlace place);

 private:
  static Result<std::optional<CachedArtifact>> find(const ReadTxn& txn, const ArtifactKey& key);
  static Status put(WriteTxn& txn, const CachedArtifact& artifact);
  static Result<std::vector<SegmentMark>> marks(const ReadTxn& txn, const ArtifactKey& key,
                                                std::size_t count_max);
  static Status remove_marks(WriteTxn& txn, const ArtifactKey& key, std::span<const SegmentMark> segments);
  net::awaitable<Status> change(ArtifactKey key, std::function<void(CachedArtifact&)> edit);
  void add_use(CachedArtifact& artifact) const;

  struct Source {
    std::string uri;
    SteadyTime written{};
  };

  Database& database_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::map<ArtifactKey, Source> sources_;
  std::map<ArtifactKey, WallTime> used_;  ///< what has not been written yet
};

}  // namespace postern::gateway
