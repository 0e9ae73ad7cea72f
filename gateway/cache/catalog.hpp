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
};

/// A durable part of an artifact.
struct SegmentMark {
  std::uint32_t number = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  Digest digest{};
};

/// Records in LMDB, and the sources also in memory. Thread-safe.
class Catalog {
 public:
  Catalog(Database& database, Clock& clock) : database_(database), clock_(clock) {}

  /// Remembers that an artifact can be fetched from `uri`. Durable when it returns, for a new artifact; a
  /// fresh link for a known one is written once in ten minutes.
  net::awaitable<Status> note_source(CachedArtifact artifact);
  /// The newest known link.
  Result<std::string> source_of(const ArtifactKey& key) const;

  Result<std::optional<CachedArtifact>> find(const ArtifactKey& key) const;
  Result<std::vector<SegmentMark>> segments_of(const ArtifactKey& key) const;
  net::awaitable<Status> note_size(ArtifactKey key, std::uint64_t size_bytes);
  net::awaitable<Status> note_verified(ArtifactKey key, Digest digest);
  net::awaitable<Status> add_segments(ArtifactKey key, std::vector<SegmentMark> segments);
  /// Forgets size and segments: what was here is not what the upstream has.
  net::awaitable<Status> forget_content(ArtifactKey key);

 private:
  static Result<std::optional<CachedArtifact>> find(const ReadTxn& txn, const ArtifactKey& key);
  static Status put(WriteTxn& txn, const CachedArtifact& artifact);
  net::awaitable<Status> change(ArtifactKey key, std::function<void(CachedArtifact&)> edit);

  struct Source {
    std::string uri;
    SteadyTime written{};
  };

  Database& database_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::map<ArtifactKey, Source> sources_;
};

}  // namespace postern::gateway
