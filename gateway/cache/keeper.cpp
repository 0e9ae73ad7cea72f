#include "gateway/cache/keeper.hpp"

#include "shared/base/cancellation.hpp"

namespace postern::gateway {
namespace {

Error unknown(std::string_view what) {
  return not_found(fmt::format("no artifact {} is known here", what));
}

}  // namespace

std::string_view to_string(KeptState state) {
  switch (state) {
    case KeptState::waiting:
      return "waiting";
    case KeptState::filling:
      return "filling";
    case KeptState::partial:
      return "partial";
    case KeptState::complete:
      return "complete";
    case KeptState::refused:
      return "refused";
  }
  return "?";
}

Result<std::optional<KeptArtifact>> Keeper::describe(const CachedArtifact& artifact) const {
  KeptArtifact kept{.key = artifact.key,
                    .name = artifact.name,
                    .artifact_id = artifact.artifact_id,
                    .group = artifact.group,
                    .size_bytes = artifact.size_bytes,
                    .digest = artifact.digest,
                    .is_pinned = artifact.is_pinned,
                    .last_used = artifact.last_used};
  const auto entry = cache_.peek(artifact.key);
  const bool is_current = entry && entry->revision() == artifact.revision;
  kept.is_verified =
      artifact.digest && (artifact.policy == cache_.policy() || (is_current && entry->is_verified()));
  if (is_current && entry->size().first) {
    kept.stored_bytes = entry->stored_bytes();
  } else {
    POSTERN_TRY(const auto marks, catalog_.segments_of(artifact.key));
    for (const SegmentMark& mark : marks)
      kept.stored_bytes += chunks_->contains(mark.digest) ? mark.length : 0;
  }
  if (entry) kept.readers = entry->readers();
  const bool is_filling = entry && entry->is_filling();
  const bool is_waiting = !is_filling && cache_.is_prefetch_waiting(artifact.key);
  if (artifact.quarantine) {
    kept.state = KeptState::refused;
    kept.refusal = artifact.quarantine->reason;
    kept.refusals = artifact.quarantine->refusals;
    kept.retry_at = artifact.quarantine->retry;
  } else if (is_filling) {
    kept.state = KeptState::filling;
  } else if (kept.is_verified && kept.size_bytes > 0 && kept.stored_bytes == kept.size_bytes) {
    kept.state = KeptState::complete;
  } else if (is_waiting) {
    kept.state = KeptState::waiting;
  } else if (kept.stored_bytes == 0 && !kept.is_pinned && kept.readers == 0) {
    return std::nullopt;
  }
  return kept;
}

Result<std::vector<KeptArtifact>> Keeper::list() const {
  std::vector<KeptArtifact> all;
  if (chunks_ == nullptr) return all;
  POSTERN_TRY(const auto artifacts, catalog_.all());
  for (const CachedArtifact& artifact : artifacts) {
    POSTERN_TRY(auto kept, describe(artifact));
    if (kept) all.push_back(*std::move(kept));
  }
  std::ranges::sort(all, {}, [](const KeptArtifact& kept) { return std::tie(kept.name, kept.key); });
  return all;
}

Result<std::vector<ArtifactKey>> Keeper::find(std::string_view name_or_key) const {
  if (const auto key = parse_artifact_key(name_or_key)) {
    POSTERN_TRY(const auto artifact, catalog_.find(*key));
    if (artifact) return std::vector{*key};
  }
  POSTERN_TRY(const auto artifacts, catalog_.all());
  std::vector<ArtifactKey> keys;
  for (const CachedArtifact& artifact : artifacts) {
    if (artifact.name == name_or_key) keys.push_back(artifact.key);
  }
  if (keys.empty()) return unknown(name_or_key);
  return keys;
}

net::awaitable<Result<VerifyReport>> Keeper::verify_one(ArtifactKey key) {
  POSTERN_CO_TRY(const auto artifact, catalog_.find(key));
  if (!artifact) co_return unknown(to_text(key));
  const auto marks = co_await pool_.run([&] { return catalog_.segments_of(key); });
  if (!marks) co_return marks.error();
  VerifyReport report{.key = key, .name = artifact->name};
  report.missing_chunks =
      static_cast<std::uint32_t>(((artifact->size_bytes + kChunkBytes - 1) / kChunkBytes) - marks->size());
  Sha256 whole;
  for (const SegmentMark& mark : *marks) {
    if (co_await was_cancelled()) co_return cancelled("verify");
    const auto checked = co_await pool_.run([&]() -> Status {
      POSTERN_CHECK(chunks_->check(mark.digest));
      return chunks_->view(mark.digest, [&](Bytes bytes) {
        report.checked_bytes += bytes.size();
        whole.update(bytes);
      });
    });
    if (checked) continue;
    ++report.bad_chunks;
    report.error = checked.error().what;
    if (checked.error().kind != Kind::corrupt && checked.error().reason != Reason::not_found) continue;
    POSTERN_CO_CHECK(cache_.repair(mark.digest));
  }
  const bool is_whole = report.bad_chunks == 0 && report.missing_chunks == 0;
  if (is_whole && artifact->digest && whole.finish() != *artifact->digest) {
    report.error = "the chunks are good, but not those of the artifact that was verified: evict it";
  }
  log_.info("cache.verified", {{"artifact", report.name},
                               {"size_bytes", report.checked_bytes},
                               {"bad_chunks", report.bad_chunks},
                               {"error", report.error}});
  co_return report;
}

net::awaitable<Result<std::vector<VerifyReport>>> Keeper::verify(std::vector<ArtifactKey> keys) {
  if (chunks_ == nullptr) co_return conflict("artifacts are not cached here");
  if (keys.empty()) {
    POSTERN_CO_TRY(const auto all, list());
    for (const KeptArtifact& kept : all) keys.push_back(kept.key);
  }
  std::vector<VerifyReport> reports;
  for (const ArtifactKey& key : keys) {
    POSTERN_CO_TRY(auto report, co_await verify_one(key));
    reports.push_back(std::move(report));
  }
  co_return reports;
}

net::awaitable<Status> Keeper::pin(ArtifactKey key) {
  return catalog_.set_pinned(key, true);
}

net::awaitable<Status> Keeper::unpin(ArtifactKey key) {
  return catalog_.set_pinned(key, false);
}

net::awaitable<Status> Keeper::evict(ArtifactKey key, bool even_if_in_use) {
  return cache_.evict(key, even_if_in_use);
}

net::awaitable<Result<Collected>> Keeper::collect() {
  POSTERN_CO_TRY(const auto removed, co_await cache_.collect());
  co_return Collected{.chunks = removed.chunks,
                      .bytes = removed.bytes,
                      .segments = removed.segments,
                      .disk_bytes = removed.disk_bytes};
}

net::awaitable<Status> Keeper::prefetch(ArtifactKey key) {
  co_return cache_.prefetch(key);
}

}  // namespace postern::gateway
