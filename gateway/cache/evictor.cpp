#include "gateway/cache/evictor.hpp"

#include <set>

#include "shared/base/cancellation.hpp"
#include "shared/base/fault_point.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kCollectCount = 1000;

}  // namespace

std::vector<ArtifactKey> eviction_order(std::vector<EvictionCandidate> candidates, unsigned keep_last) {
  std::set<ArtifactKey> kept;
  std::set<ArtifactKey> outdated;
  if (keep_last > 0) {
    std::map<std::string, std::vector<const EvictionCandidate*>> groups;
    for (const auto& candidate : candidates) {
      if (!candidate.group.empty()) groups[candidate.group].push_back(&candidate);
    }
    for (auto& [group, members] : groups) {
      std::ranges::sort(members, std::ranges::greater(),
                        [](const auto* member) { return std::pair(member->first_seen, member->key); });
      for (std::size_t i = 0; i < members.size(); ++i) {
        (i < keep_last ? kept : outdated).insert(members[i]->key);
      }
    }
  }
  std::erase_if(candidates, [&](const EvictionCandidate& candidate) {
    return candidate.is_pinned || candidate.is_busy || kept.contains(candidate.key);
  });
  std::ranges::sort(candidates, {}, [&](const EvictionCandidate& candidate) {
    return std::tuple(!outdated.contains(candidate.key), candidate.last_used, candidate.first_seen,
                      candidate.key);
  });
  std::vector<ArtifactKey> order;
  for (const auto& candidate : candidates) order.push_back(candidate.key);
  return order;
}

Result<std::vector<EvictionCandidate>> Evictor::candidates() const {
  POSTERN_TRY(const auto artifacts, catalog_.all());
  std::vector<EvictionCandidate> found;
  for (const CachedArtifact& artifact : artifacts) {
    if (artifact.size_bytes == 0) continue;  // nothing of it is here
    found.push_back({.key = artifact.key,
                     .group = artifact.group,
                     .first_seen = artifact.first_seen,
                     .last_used = artifact.last_used,
                     .is_pinned = artifact.is_pinned,
                     .is_busy = is_busy_(artifact.key)});
  }
  return found;
}

net::awaitable<Status> Evictor::make_room(std::size_t chunks) {
  return evict_until([this, chunks] { return chunks_.has_room_for(chunks); });
}

net::awaitable<Status> Evictor::evict_until(std::function<bool()> is_enough) {
  const auto turn = co_await turns_.take();
  if (co_await pool_.run([&] { return is_enough(); })) co_return Status{};
  const auto found = co_await pool_.run([&] { return candidates(); });
  if (!found) co_return found.error();
  for (const ArtifactKey& key : eviction_order(*found, keep_last_)) {
    if (!retire_(key)) continue;
    POSTERN_CO_TRY(const auto removed, co_await remove(key));
    log_.info("cache.evicted",
              {{"key", to_text(key)}, {"chunks", removed.chunks}, {"size_bytes", removed.bytes}});
    ++metrics_.cache_evictions;
    metrics_.cache_evicted_bytes += removed.bytes;
    if (co_await pool_.run([&] { return is_enough(); })) co_return Status{};
  }
  co_return exhausted("the cache is full of what is in use, pinned or to be kept");
}

net::awaitable<Result<ChunkStore::Removed>> Evictor::remove(ArtifactKey key) {
  POSTERN_FAULT_POINT("evictor.before_forget");
  POSTERN_CO_TRY(auto chunks, co_await catalog_.forget_content(key));
  POSTERN_FAULT_POINT("evictor.before_remove");
  auto removed = co_await remove_unneeded(std::move(chunks));
  POSTERN_FAULT_POINT("evictor.after_remove");
  co_return removed;
}

net::awaitable<Result<ChunkStore::Removed>> Evictor::remove_unneeded(std::vector<Digest> chunks) {
  const auto is_referenced = [this](const Digest& digest) -> Result<bool> {
    POSTERN_TRY(const auto keys, catalog_.references_of(digest));
    return !keys.empty();
  };
  co_return co_await chunks_.remove(std::move(chunks), is_referenced, pool_);
}

net::awaitable<Status> Evictor::remove_dangling_marks() {
  const auto artifacts = co_await pool_.run([&] { return catalog_.all(); });
  if (!artifacts) co_return artifacts.error();
  for (const CachedArtifact& artifact : *artifacts) {
    if (co_await was_cancelled()) co_return cancelled("collect");
    auto marks = co_await pool_.run([&] { return catalog_.segments_of(artifact.key); });
    if (!marks) co_return std::move(marks).error();
    // While it is filled its marks change; then the fill notices by itself.
    if (is_busy_(artifact.key)) continue;
    std::erase_if(*marks, [&](const SegmentMark& mark) { return chunks_.contains(mark.digest); });
    if (marks->empty()) continue;
    log_.warn("cache.chunks_missing", {{"artifact", artifact.name}, {"chunks", marks->size()}});
    if (retire_(artifact.key)) POSTERN_CO_CHECK(co_await catalog_.remove_segments(artifact.key, *marks));
  }
  co_return Status{};
}

net::awaitable<Result<ChunkStore::Removed>> Evictor::collect() {
  ChunkStore::Removed all;
  std::optional<Digest> last;
  for (;;) {
    if (co_await was_cancelled()) co_return cancelled("collect");
    auto slice = chunks_.list_after(last, kCollectCount);
    if (slice.empty()) break;
    last = slice.back();
    POSTERN_CO_TRY(const auto removed, co_await remove_unneeded(std::move(slice)));
    all += removed;
  }
  if (auto fits = co_await evict_until([this] { return chunks_.fits_quota(); }); !fits) {
    log_.warn("cache.over_quota", {{"used_bytes", chunks_.used_bytes()}, {"error", fits.error().what}});
  }
  POSTERN_CO_TRY(const auto moved, co_await chunks_.compact(pool_));
  all += moved;
  POSTERN_CO_CHECK(co_await remove_dangling_marks());
  co_return all;
}

}  // namespace postern::gateway
