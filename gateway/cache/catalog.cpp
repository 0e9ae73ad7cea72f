#include "gateway/cache/catalog.hpp"

#include "gateway/store/tables.hpp"
#include "shared/proto/gateway.pb.h"
#include "shared/store/record.hpp"

namespace postern::gateway {
namespace {

constexpr Duration kSourceWriteInterval = std::chrono::minutes(10);
constexpr std::size_t kSourcesMax = 10'000;
constexpr std::uint32_t kKindChunk = 1;

Error unknown(const ArtifactKey& key) {
  return not_found(fmt::format("no artifact {} is known here", to_text(key)));
}

KeyBuilder segment_key(const ArtifactKey& key, std::uint32_t number) {
  return KeyBuilder().raw(key).u32(number);
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
  CachedArtifact artifact{.key = key,
                          .upstream = record->upstream(),
                          .artifact_id = record->artifact_id(),
                          .name = record->name(),
                          .size_bytes = record->size_bytes(),
                          .digest = {},
                          .source_uri = record->source_uri(),
                          .is_private = record->is_private(),
                          .seen = WallTime(std::chrono::milliseconds(record->seen_ms()))};
  if (record->digest().size() == sizeof(Digest)) {
    std::ranges::copy(as_bytes(record->digest()), artifact.digest.emplace().begin());
  }
  return artifact;
}

Status Catalog::put(WriteTxn& txn, const CachedArtifact& artifact) {
  gateway_record::Artifact record;
  record.set_upstream(artifact.upstream);
  record.set_artifact_id(artifact.artifact_id);
  record.set_name(artifact.name);
  record.set_size_bytes(artifact.size_bytes);
  if (artifact.digest) record.set_digest(std::string(as_text(*artifact.digest)));
  record.set_source_uri(artifact.source_uri);
  record.set_is_private(artifact.is_private);
  record.set_seen_ms(artifact.seen.time_since_epoch().count());
  return put_record(txn, kArtifacts, artifact.key, record);
}

net::awaitable<Status> Catalog::note_source(CachedArtifact artifact) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = sources_.find(artifact.key);
    if (known != sources_.end()) {
      known->second.uri = artifact.source_uri;
      if (clock_.now() - known->second.written < kSourceWriteInterval) co_return Status{};
    }
  }
  artifact.seen = clock_.wall();
  POSTERN_CO_CHECK(co_await database_.write([&](WriteTxn& txn) -> Status {
    CachedArtifact merged = artifact;
    POSTERN_TRY(const auto known, find(txn, artifact.key));
    if (known) {
      merged.size_bytes = known->size_bytes;
      merged.digest = known->digest;
    }
    return put(txn, merged);
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
  return artifact;
}

Result<std::vector<SegmentMark>> Catalog::segments_of(const ArtifactKey& key) const {
  std::vector<SegmentMark> segments;
  POSTERN_CHECK(database_.read([&](const ReadTxn& txn) -> Status {
    return txn.scan(kSegments, key, [&](Bytes row, Bytes value) -> Result<bool> {
      KeyReader reader(row.subspan(key.size()));
      POSTERN_TRY(const std::uint32_t number, reader.u32());
      POSTERN_TRY(const auto record, decode_record<gateway_record::Segment>(kSegments, row, value));
      if (record.kind() != kKindChunk || record.digest().size() != sizeof(Digest)) {
        return corrupt(fmt::format("segment {} of artifact {} cannot be read", number, to_text(key)));
      }
      SegmentMark mark{.number = number, .offset = record.offset(), .length = record.length(), .digest = {}};
      std::ranges::copy(as_bytes(record.digest()), mark.digest.begin());
      segments.push_back(mark);
      return true;
    });
  }));
  return segments;
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

net::awaitable<Status> Catalog::note_verified(ArtifactKey key, Digest digest) {
  return change(key, [digest](CachedArtifact& artifact) { artifact.digest = digest; });
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
    }
    return {};
  });
}

net::awaitable<Status> Catalog::forget_content(ArtifactKey key) {
  co_return co_await database_.write([&](WriteTxn& txn) -> Status {
    std::vector<std::uint32_t> numbers;
    POSTERN_CHECK(txn.scan(kSegments, key, [&](Bytes row, Bytes) -> Result<bool> {
      KeyReader reader(row.subspan(key.size()));
      POSTERN_TRY(const std::uint32_t number, reader.u32());
      numbers.push_back(number);
      return true;
    }));
    for (const std::uint32_t number : numbers) POSTERN_CHECK(txn.del(kSegments, segment_key(key, number)));
    POSTERN_TRY(auto artifact, find(txn, key));
    if (!artifact) return unknown(key);
    artifact->size_bytes = 0;
    artifact->digest.reset();
    return put(txn, *artifact);
  });
}

}  // namespace postern::gateway
