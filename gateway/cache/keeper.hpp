// What an operator does with the cache: look at it, verify, pin, evict, clean up, and fill it beforehand.
#pragma once

#include "gateway/cache/cache.hpp"

namespace postern::gateway {

/// How much of an artifact is here.
enum class KeptState : unsigned char {
  waiting,   ///< a prefetch has not begun yet
  filling,   ///< on its way
  partial,   ///< a part is here, and nobody fetches the rest now
  complete,  ///< all of it is here and verified
  refused,   ///< what came failed its verification: in quarantine
};

std::string_view to_string(KeptState state);

/// What is to be known of one artifact.
struct KeptArtifact {
  ArtifactKey key{};
  std::string name;
  std::string artifact_id;         ///< as the upstream names it
  std::string group;               ///< for KeepLast; empty as long as it is not known
  std::uint64_t size_bytes = 0;    ///< 0: not known yet
  std::uint64_t stored_bytes = 0;  ///< durable here; grows while it is filling
  KeptState state = KeptState::partial;
  bool is_verified = false;
  std::optional<Digest> digest;  ///< of all of it, once it was verified
  bool is_pinned = false;
  WallTime last_used;       ///< when a device read of it, or when it came
  std::size_t readers = 0;  ///< downloads under way

  // In quarantine.
  std::string refusal;               ///< why
  unsigned refusals = 0;             ///< how often
  std::optional<WallTime> retry_at;  ///< from when it may be fetched again; nothing: not without an operator
};

/// What verifying one artifact has found.
struct VerifyReport {
  ArtifactKey key{};
  std::string name;
  std::uint64_t checked_bytes = 0;
  std::uint32_t bad_chunks = 0;      ///< rotten or gone; they are being fetched again
  std::uint32_t missing_chunks = 0;  ///< not fetched yet
  std::string error;                 ///< empty: all that is here is good
};

/// What was cleaned up.
struct Collected {
  std::uint64_t chunks = 0;      ///< that no artifact refers to
  std::uint64_t bytes = 0;       ///< of them: room that is free again, in the files or on the disk
  std::uint64_t segments = 0;    ///< files removed
  std::uint64_t disk_bytes = 0;  ///< given back to the disk
};

/// Thread-safe. Errors of every call that names an artifact: not_found.
class Keeper {
 public:
  /// Without a chunk store there is nothing to keep: lists are empty and the rest is `conflict`.
  Keeper(Cache& cache, Catalog& catalog, ChunkStore* chunks, Pool& pool, Log& log)
      : cache_(cache), catalog_(catalog), chunks_(chunks), pool_(pool), log_(log) {}

  /// Everything of which there is something here, something on its way, or something to be said; by name.
  Result<std::vector<KeptArtifact>> list() const;
  /// The artifacts that are meant: the one with this key, or those with this name.
  Result<std::vector<ArtifactKey>> find(std::string_view name_or_key) const;

  /// Reads all that is here of these artifacts (none given: of all) and compares it with its digests. What is
  /// bad is dropped and fetched again. Takes as long as reading takes; cancellable between chunks.
  net::awaitable<Result<std::vector<VerifyReport>>> verify(std::vector<ArtifactKey> keys);
  /// A pinned artifact leaves only by evict().
  net::awaitable<Status> pin(ArtifactKey key);
  net::awaitable<Status> unpin(ArtifactKey key);
  /// Removes what is here of an artifact, with its pin and its quarantine. Errors: conflict, while it is read
  /// or filled, unless `even_if_in_use`: then its readers go on past the cache.
  net::awaitable<Status> evict(ArtifactKey key, bool even_if_in_use);
  /// Removes chunks that no artifact refers to, and gives room that nobody needs back to the disk.
  net::awaitable<Result<Collected>> collect();
  /// Starts to fetch an artifact that nobody waits for; every fill that somebody waits for goes first.
  /// list() tells how far it is. Errors: conflict, when it is in quarantine; exhausted, when too many wait.
  net::awaitable<Status> prefetch(ArtifactKey key);
  /// Ends a prefetch that waits or runs, unless somebody reads the artifact by now. What is here stays.
  void cancel_prefetch(const ArtifactKey& key) { cache_.cancel_prefetch(key); }

 private:
  Result<std::optional<KeptArtifact>> describe(const CachedArtifact& artifact) const;
  net::awaitable<Result<VerifyReport>> verify_one(ArtifactKey key);

  Cache& cache_;
  Catalog& catalog_;
  ChunkStore* chunks_;
  Pool& pool_;
  Log& log_;
};

}  // namespace postern::gateway
