#include "gateway/cache/catalog.hpp"

#include "gateway/store/tables.hpp"
#include "shared/base/fault_point.hpp"
#include "shared/proto/gateway.pb.h"
#include "shared/store/record.hpp"

namespace postern::gateway {
namespace {

constexpr Duration kSourceWriteInterval = std::chrono::minutes(10);
constexpr std::size_t kSourcesMax = 10'000;
constexpr std::uint32_t kKindChunk = 1;
constexpr std::string_view kScrubPlace = "scrub_place";
/// Rows that one commit changes: a commit takes less than 20 ms (decision 19).
constexpr std::size_t kRowsMax = 500;

Error unknown(const ArtifactKey& key) {
  return not_found(fmt::format("no artifact {} is known here", to_text(key)));
}

KeyBuilder segment_key(const ArtifactKey& key, std::uint32_t number) {
  return KeyBuilder().raw(key).u32(number);
}

KeyBuilder reference_key(const Digest& chunk, const ArtifactKey& key) {
  return KeyBuilder().raw(chunk).raw(key);
}

WallTime wall_time(std::int64_t ms) {
  return WallTime(std::chrono::milliseconds(ms));
}

std::int64_t in_ms(WallTime time) {
  return time.time_since_epoch().count();
}

std::optional<Digest> digest_of(std::string_view bytes) {
  Digest digest;
  if (bytes.size() != digest.size()) return std::nullopt;
  std::ranges::copy(as_bytes(bytes), digest.begin());
  return digest;
}

std::string bytes_of(const std::optional<Digest>& digest) {
  return digest ? std::string(as_text(*digest)) : std::string();
}

/// A link without what changes each time that it is signed.
std::string_view place_of(std::string_view uri) {
  return uri.substr(0, uri.find('?'));
}

CachedArtifact from_record(const ArtifactKey& key, const gateway_record::Artifact& record) {
  CachedArtifact artifact{.key = key,
                          .upstream = record.upstream(),
                          .artifact_id = record.artifact_id(),
                          .name = record.name(),
                          .size_bytes = record.size_bytes(),
                          .digest = digest_of(record.digest()),
                          .source_uri = record.source_uri(),
                          .is_private = record.is_private(),
                          .seen = wall_time(record.seen_ms()),
                          .first_seen = wall_time(record.first_seen_ms()),
                          .expected_size_bytes = record.expected_size_bytes(),
                          .expected_digest = digest_of(record.expected_digest()),
                          .policy = record.policy(),
                          .group = record.group(),
                          .is_pinned = record.is_pinned(),
                          .last_used = wall_time(record.last_used_ms()),
                          .revision = record.revision(),
                          .quarantine = {}};
  if (record.has_quarantine()) {
    const auto& kept = record.quarantine();
    artifact.quarantine = {.reason = kept.reason(),
                           .refusals = kept.refusals(),
                           .refused = wall_time(kept.refused_ms()),
                           .retry = {}};
    if (kept.retry_ms() != 0) artifact.quarantine->retry = wall_time(kept.retry_ms());
  }
  return artifact;
}

gateway_record::Artifact to_record(const CachedArtifact& artifact) {
  gateway_record::Artifact record;
  record.set_upstream(artifact.upstream);
  record.set_artifact_id(artifact.artifact_id);
  record.set_name(artifact.name);
  record.set_size_bytes(artifact.size_bytes);
  record.set_digest(bytes_of(artifact.digest));
  record.set_source_uri(artifact.source_uri);
  record.set_is_private(artifact.is_private);
  record.set_seen_ms(in_ms(artifact.seen));
  record.set_first_seen_ms(in_ms(artifact.first_seen));
  record.set_expected_size_bytes(artifact.expected_size_bytes);
  record.set_expected_digest(bytes_of(artifact.expected_digest));
  record.set_policy(artifact.policy);
  record.set_group(artifact.group);
  record.set_is_pinned(artifact.is_pinned);
  record.set_last_used_ms(in_ms(artifact.last_used));
  record.set_revision(artifact.revision);
  if (artifact.quarantine) {
    auto* kept = record.mutable_quarantine();
    kept->set_reason(artifact.quarantine->reason);
    kept->set_refusals(artifact.quarantine->refusals);
    kept->set_refused_ms(in_ms(artifact.quarantine->refused));
    if (artifact.quarantine->retry) kept->set_retry_ms(in_ms(*artifact.quarantine->retry));
  }
  return record;
}

void forget(CachedArtifact& artifact) {
  artifact.size_bytes = 0;
  artifact.digest.reset();
  artifact.policy.clear();
  artifact.group.clear();
  ++artifact.revision;
}

/// What a fresh link says of an artifact that is known.
CachedArtifact merge(const CachedArtifact& known, const CachedArtifact& fresh) {
  CachedArtifact merged = known;
  merged.name = fresh.name;
  merged.source_uri = fresh.source_uri;
  merged.is_private = fresh.is_private;
  merged.seen = fresh.seen;
  bool is_new = place_of(known.source_uri) != place_of(fresh.source_uri);
  if (fresh.expected_size_bytes != 0) {
    is_new |= known.expected_size_bytes != 0 && known.expected_size_bytes != fresh.expected_size_bytes;
    merged.expected_size_bytes = fresh.expected_size_bytes;
  }
  if (fresh.expected_digest) {
    is_new |= known.expected_digest && known.expected_digest != fresh.expected_digest;
    merged.expected_digest = fresh.expected_digest;
  }
  if (is_new) merged.quarantine.reset();
  const bool is_other = (merged.expected_size_bytes != 0 && known.size_bytes != 0 &&
                         merged.expected_size_bytes != known.size_bytes) ||
                        (merged.expected_digest && known.digest && merged.expected_digest != known.digest);
  if (is_other) forget(merged);
  return merged;
}

}  // namespace

ArtifactKey artifact_key(std::string_view upstream, std::string_view artifact_id) {
  const Digest digest = sha256(as_bytes(fmt::format("{}\n{}", upstream, artifact_id)));
  ArtifactKey key;
  std::ranges::copy(Bytes(digest).first(key.size()), key.begin());
  return key;
}

std::string to_text(const ArtifactKey& key) {
  return to_hex(key);
}

std::optional<ArtifactKey> parse_artifact_key(std::string_view text) {
  const auto bytes = from_hex(text);
  ArtifactKey key;
  if (!bytes || bytes->size() != key.size()) return std::nullopt;
  std::ranges::copy(*bytes, key.begin());
  return key;
}

Result<std::optional<CachedArtifact>> Catalog::find(const ReadTxn& txn, const ArtifactKey& key) {
  POSTERN_TRY(const auto record, get_record<gateway_record::Artifact>(txn, kArtifacts, key));
  if (!record) return std::nullopt;
  return from_record(key, *record);
}

Status Catalog::put(WriteTxn& txn, const CachedArtifact& artifact) {
  return put_record(txn, kArtifacts, artifact.key, to_record(artifact));
}

void Catalog::add_use(CachedArtifact& artifact) const {
  const std::lock_guard lock(mutex_);
  if (const auto used = used_.find(artifact.key); used != used_.end()) artifact.last_used = used->second;
}

net::awaitable<Status> Catalog::note_source(CachedArtifact artifact) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = sources_.find(artifact.key);
    if (known != sources_.end()) {
      const bool is_same = place_of(known->second.uri) == place_of(artifact.source_uri) &&
                           artifact.expected_size_bytes == 0 && !artifact.expected_digest;
      known->second.uri = artifact.source_uri;
      if (is_same && clock_.now() - known->second.written < kSourceWriteInterval) co_return Status{};
    }
  }
  artifact.seen = artifact.first_seen = clock_.wall();
  POSTERN_CO_CHECK(co_await database_.write([&](WriteTxn& txn) -> Status {
    POSTERN_TRY(const auto known, find(txn, artifact.key));
    return put(txn, known ? merge(*known, artifact) : artifact);
  }));
  const std::lock_guard lock(mutex_);
  if (sources_.size() >= kSourcesMax) sources_.clear();
  sources_[artifact.key] = {.uri = artifact.source_uri, .written = clock_.now()};
  co_return Status{};
}

Result<std::string> Catalog::source_of(const ArtifactKey& key) const {
  {
    const std::lock_guard lock(mutex_);
    const auto known = sources_.find(key);
    if (known != sources_.end()) return known->second.uri;
  }
  POSTERN_TRY(const auto artifact, find(key));
  if (!artifact) return unknown(key);
  return artifact->source_uri;
}

Result<std::optional<CachedArtifact>> Catalog::find(const ArtifactKey& key) const {
  std::optional<CachedArtifact> artifact;
  POSTERN_CHECK(database_.read([&](const ReadTxn& txn) -> Status {
    POSTERN_TRY(artifact, find(txn, key));
    return {};
  }));
  if (artifact) add_use(*artifact);
  return artifact;
}

Result<std::vector<CachedArtifact>> Catalog::all() const {
  std::vector<CachedArtifact> artifacts;
  POSTERN_CHECK(database_.read([&](const ReadTxn& txn) -> Status {
    return txn.scan(kArtifacts, {}, [&](Bytes row, Bytes value) -> Result<bool> {
      POSTERN_TRY(const auto record, decode_record<gateway_record::Artifact>(kArtifacts, row, value));
      ArtifactKey key;
      if (row.size() != key.size()) return corrupt("a key of the artifacts has another size");
      std::ranges::copy(row, key.begin());
      artifacts.push_back(from_record(key, record));
      return true;
    });
  }));
  for (CachedArtifact& artifact : artifacts) add_use(artifact);
  return artifacts;
}

Result<std::vector<SegmentMark>> Catalog::marks(const ReadTxn& txn, const ArtifactKey& key,
                                                std::size_t count_max) {
  std::vector<SegmentMark> segments;
  POSTERN_CHECK(txn.scan(kSegments, key, [&](Bytes row, Bytes value) -> Result<bool> {
    KeyReader reader(row.subspan(key.size()));
    POSTERN_TRY(const std::uint32_t number, reader.u32());
    POSTERN_TRY(const auto record, decode_record<gateway_record::Segment>(kSegments, row, value));
    const auto digest = digest_of(record.digest());
    if (record.kind() != kKindChunk || !digest) {
      return corrupt(fmt::format("segment {} of artifact {} cannot be read", number, to_text(key)));
    }
    segments.push_back(
        {.number = number, .offset = record.offset(), .length = record.length(), .digest = *digest});
    return segments.size() < count_max;
  }));
  return segments;
}

Result<std::vector<SegmentMark>> Catalog::segments_of(const ArtifactKey& key) const {
  std::vector<SegmentMark> segments;
  POSTERN_CHECK(database_.read([&](const ReadTxn& txn) -> Status {
    POSTERN_TRY(segments, marks(txn, key, std::numeric_limits<std::size_t>::max()));
    return {};
  }));
  return segments;
}

Result<std::vector<ArtifactKey>> Catalog::references_of(const Digest& chunk) const {
  std::vector<ArtifactKey> keys;
  POSTERN_CHECK(database_.read([&](const ReadTxn& txn) -> Status {
    return txn.scan(kReferences, chunk, [&](Bytes row, Bytes) -> Result<bool> {
      ArtifactKey key;
      if (row.size() != chunk.size() + key.size()) return corrupt("a reference has another size");
      std::ranges::copy(row.subspan(chunk.size()), key.begin());
      keys.push_back(key);
      return true;
    });
  }));
  return keys;
}

net::awaitable<Status> Catalog::change(ArtifactKey key, std::function<void(CachedArtifact&)> edit) {
  co_return co_await database_.write([&](WriteTxn& txn) -> Status {
    POSTERN_TRY(auto artifact, find(txn, key));
    if (!artifact) return unknown(key);
    edit(*artifact);
    return put(txn, *artifact);
  });
}

net::awaitable<Status> Catalog::note_size(ArtifactKey key, std::uint64_t size_bytes) {
  return change(key, [size_bytes](CachedArtifact& artifact) { artifact.size_bytes = size_bytes; });
}

net::awaitable<Status> Catalog::note_verified(ArtifactKey key, Digest digest, std::string policy,
                                              std::string group) {
  return change(key,
                [digest, policy = std::move(policy), group = std::move(group)](CachedArtifact& artifact) {
                  artifact.digest = digest;
                  artifact.policy = policy;
                  artifact.group = group;
                  artifact.quarantine.reset();
                });
}

net::awaitable<Status> Catalog::add_segments(ArtifactKey key, std::vector<SegmentMark> segments) {
  co_return co_await database_.write([&](WriteTxn& txn) -> Status {
    for (const SegmentMark& mark : segments) {
      gateway_record::Segment record;
      record.set_kind(kKindChunk);
      record.set_offset(mark.offset);
      record.set_length(mark.length);
      record.set_digest(std::string(as_text(mark.digest)));
      POSTERN_CHECK(put_record(txn, kSegments, segment_key(key, mark.number), record));
      POSTERN_CHECK(txn.put(kReferences, reference_key(mark.digest, key), {}));
    }
    return {};
  });
}

Status Catalog::remove_marks(WriteTxn& txn, const ArtifactKey& key, std::span<const SegmentMark> segments) {
  for (const SegmentMark& mark : segments) {
    POSTERN_CHECK(txn.del(kSegments, segment_key(key, mark.number)));
    POSTERN_CHECK(txn.del(kReferences, reference_key(mark.digest, key)));
  }
  return {};
}

net::awaitable<Status> Catalog::remove_segments(ArtifactKey key, std::vector<SegmentMark> segments) {
  for (std::span<const SegmentMark> rest = segments; !rest.empty();) {
    const auto slice = rest.first(std::min(rest.size(), kRowsMax));
    rest = rest.subspan(slice.size());
    POSTERN_CO_CHECK(co_await database_.write([&](WriteTxn& txn) { return remove_marks(txn, key, slice); }));
  }
  co_return Status{};
}

net::awaitable<Result<std::vector<Digest>>> Catalog::forget_content(ArtifactKey key) {
  POSTERN_CO_CHECK(co_await change(key, forget));
  co_return co_await remove_segments(key);
}

net::awaitable<Result<std::vector<Digest>>> Catalog::remove_segments(ArtifactKey key) {
  std::vector<Digest> chunks;
  for (;;) {
    POSTERN_FAULT_POINT("catalog.before_forget");
    std::vector<SegmentMark> removed;
    POSTERN_CO_CHECK(co_await database_.write([&](WriteTxn& txn) -> Status {
      POSTERN_TRY(removed, marks(txn, key, kRowsMax));
      return remove_marks(txn, key, removed);
    }));
    POSTERN_FAULT_POINT("catalog.after_forget");
    if (removed.empty()) co_return chunks;
    for (const SegmentMark& mark : removed) chunks.push_back(mark.digest);
  }
}

net::awaitable<Status> Catalog::quarantine(ArtifactKey key, std::string reason,
                                           std::vector<Duration> pauses) {
  const WallTime now = clock_.wall();
  co_return co_await change(key, [&](CachedArtifact& artifact) {
    const unsigned before = artifact.quarantine ? artifact.quarantine->refusals : 0;
    artifact.quarantine = Quarantine{.reason = reason, .refusals = before + 1, .refused = now, .retry = {}};
    if (before < pauses.size()) {
      artifact.quarantine->retry = now + std::chrono::ceil<std::chrono::milliseconds>(pauses[before]);
    }
  });
}

net::awaitable<Status> Catalog::end_quarantine(ArtifactKey key) {
  return change(key, [](CachedArtifact& artifact) { artifact.quarantine.reset(); });
}

net::awaitable<Status> Catalog::set_pinned(ArtifactKey key, bool is_pinned) {
  return change(key, [is_pinned](CachedArtifact& artifact) { artifact.is_pinned = is_pinned; });
}

net::awaitable<Status> Catalog::forget_older(WallTime limit) {
  POSTERN_CO_TRY(const auto artifacts, all());
  for (const CachedArtifact& artifact : artifacts) {
    if (artifact.is_pinned || std::max(artifact.seen, artifact.last_used) >= limit) continue;
    POSTERN_CO_CHECK(co_await database_.write([&](WriteTxn& txn) -> Status {
      POSTERN_TRY(const auto left, marks(txn, artifact.key, 1));
      return left.empty() ? txn.del(kArtifacts, artifact.key) : Status{};
    }));
  }
  co_return Status{};
}

void Catalog::note_used(const ArtifactKey& key) {
  const WallTime now = clock_.wall();
  const std::lock_guard lock(mutex_);
  used_[key] = now;
}

net::awaitable<Status> Catalog::flush_used() {
  std::map<ArtifactKey, WallTime> used;
  {
    const std::lock_guard lock(mutex_);
    used = used_;
  }
  if (used.empty()) co_return Status{};
  POSTERN_CO_CHECK(co_await database_.write([&](WriteTxn& txn) -> Status {
    for (const auto& [key, time] : used) {
      POSTERN_TRY(auto artifact, find(txn, key));
      if (!artifact) continue;
      artifact->last_used = time;
      POSTERN_CHECK(put(txn, *artifact));
    }
    return {};
  }));
  const std::lock_guard lock(mutex_);
  for (const auto& [key, time] : used) {
    const auto found = used_.find(key);
    if (found != used_.end() && found->second == time) used_.erase(found);
  }
  co_return Status{};
}

Result<std::optional<ScrubPlace>> Catalog::scrub_place() const {
  std::optional<ScrubPlace> place;
  POSTERN_CHECK(database_.read([&](const ReadTxn& txn) -> Status {
    POSTERN_TRY(const auto record,
                get_record<gateway_record::ScrubPlace>(txn, kCache, as_bytes(kScrubPlace)));
    if (record) place = {.chunk = digest_of(record->digest()), .begun = wall_time(record->begun_ms())};
    return {};
  }));
  return place;
}

net::awaitable<Status> Catalog::note_scrub_place(ScrubPlace place) {
  co_return co_await database_.write([&](WriteTxn& txn) -> Status {
    gateway_record::ScrubPlace record;
    record.set_digest(bytes_of(place.chunk));
    record.set_begun_ms(in_ms(place.begun));
    return put_record(txn, kCache, as_bytes(kScrubPlace), record);
  });
}

}  // namespace postern::gateway
