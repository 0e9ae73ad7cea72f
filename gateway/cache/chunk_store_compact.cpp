// The chunk store's part that gives room back to the disk.
#include "gateway/cache/chunk_store.hpp"
#include "gateway/cache/segment_layout.hpp"
#include "shared/base/cancellation.hpp"
#include "shared/base/fault_point.hpp"

namespace postern::gateway {
namespace {

/// Chunks that move in one turn: others wait as long.
constexpr std::size_t kMoveCount = 8;
/// Of a segment's file, at least one part in so many has to be gained by emptying it.
constexpr std::uint64_t kGainShare = 4;

}  // namespace

bool ChunkStore::fits_quota() const {
  const Usage now = usage();
  if (now.file_bytes <= options_.bytes_max) return true;
  const std::uint64_t room = std::max(options_.segment_bytes, 2 * kOverheadBytes) - kOverheadBytes;
  const std::uint64_t segments = (now.live_bytes + room - 1) / room;
  return now.live_bytes + (segments * kOverheadBytes) <= options_.bytes_max;
}

std::uint64_t ChunkStore::growth_for_moves() const {
  // Who is above a quota that has become smaller may need more for a moment, to come below it.
  return growth_bytes(used_bytes() <= options_.bytes_max);
}

ChunkStore::SegmentPtr ChunkStore::sparse_segment(const std::set<std::uint32_t>& tried) const {
  auto all = segments();
  std::ranges::sort(all, {}, [](const SegmentPtr& segment) { return segment->live_bytes.load(); });
  const auto free_in = [this](const SegmentPtr& segment) -> std::uint64_t {
    if (clock_.now() < segment->full_until.load()) return 0;
    const std::uint64_t used = segment->database->stats().used_bytes;
    return used - std::min(used, segment->live_bytes + kOverheadBytes);
  };
  std::uint64_t free = 0;
  for (const SegmentPtr& segment : all) free += free_in(segment);
  const std::uint64_t growth = growth_for_moves();
  for (const SegmentPtr& segment : all) {
    if (tried.contains(segment->number)) continue;
    const std::uint64_t used = segment->database->stats().used_bytes;
    const std::uint64_t needed = segment->live_bytes + kOverheadBytes;
    const std::uint64_t cost = needed - std::min(needed, free - free_in(segment));
    if (cost <= growth && cost + (used / kGainShare) <= used) return segment;
  }
  return nullptr;
}

net::awaitable<Result<ChunkStore::Removed>> ChunkStore::compact(Pool& pool) {
  const std::uint64_t before = used_bytes();
  Removed removed;
  {
    const auto turn = co_await turns_.take();
    for (const SegmentPtr& segment : segments()) POSTERN_CO_CHECK(co_await remove_strays(segment));
    removed += co_await pool.run([&] { return unlink_empty(); });
  }
  std::set<std::uint32_t> tried;
  for (std::size_t rounds = segments().size(); rounds > 0; --rounds) {
    if (co_await was_cancelled()) co_return cancelled("compact");
    SegmentPtr segment = co_await pool.run([&] { return sparse_segment(tried); });
    if (!segment) break;
    tried.insert(segment->number);
    auto emptied = co_await empty(std::move(segment), pool);
    // Somebody else may have taken the room; what has moved has moved.
    if (!emptied && emptied.error().kind != Kind::exhausted) co_return std::move(emptied).error();
    const auto turn = co_await turns_.take();
    removed += co_await pool.run([&] { return unlink_empty(); });
  }
  removed.disk_bytes = before - std::min(before, used_bytes());
  if (removed.segments > 0) {
    log_.info("cache.compacted", {{"segments", removed.segments}, {"disk_bytes", removed.disk_bytes}});
  }
  co_return removed;
}

std::vector<Digest> ChunkStore::digests_in(const Segment& segment) const {
  const std::shared_lock lock(mutex_);
  std::vector<Digest> digests;
  for (const auto& [digest, place] : places_) {
    if (place.segment.get() == &segment) digests.push_back(digest);
  }
  return digests;
}

net::awaitable<Status> ChunkStore::empty(SegmentPtr segment, Pool& pool) {
  struct Leaving {
    explicit Leaving(Segment& segment) : segment_(segment) { segment_.is_leaving = true; }
    ~Leaving() { segment_.is_leaving = false; }
    Segment& segment_;
  };
  const Leaving leaving(*segment);
  const auto digests = co_await pool.run([&] { return digests_in(*segment); });
  for (std::span<const Digest> rest = digests; !rest.empty();) {
    if (co_await was_cancelled()) co_return cancelled("compact");
    const auto slice = rest.first(std::min(rest.size(), kMoveCount));
    rest = rest.subspan(slice.size());
    const auto turn = co_await turns_.take();
    POSTERN_CO_CHECK(co_await move(segment, slice, pool));
  }
  co_return Status{};
}

net::awaitable<Status> ChunkStore::move(SegmentPtr segment, std::span<const Digest> digests, Pool& pool) {
  auto loaded = co_await pool.run([&] { return load(segment, digests); });
  if (!loaded) co_return std::move(loaded).error();
  POSTERN_FAULT_POINT("chunks.before_move");
  POSTERN_CO_CHECK(co_await store(
      loaded->chunks, [this](std::span<const Chunk> rest) { return room_for(rest, growth_for_moves()); },
      pool));
  POSTERN_FAULT_POINT("chunks.after_move");
  drop_rotten(segment, loaded->rotten);
  co_return co_await remove_strays(segment);
}

Result<ChunkStore::Load> ChunkStore::load(const SegmentPtr& segment, std::span<const Digest> digests) const {
  std::vector<Digest> here;
  {
    const std::shared_lock lock(mutex_);
    for (const Digest& digest : digests) {
      const auto place = places_.find(digest);
      if (place != places_.end() && place->second.segment == segment) here.push_back(digest);
    }
  }
  Load load;
  POSTERN_CHECK(segment->database->read([&](const ReadTxn& txn) -> Status {
    for (const Digest& digest : here) {
      POSTERN_TRY(const auto value, txn.get(kChunks, digest));
      if (!value || sha256(*value) != digest) {
        load.rotten.push_back(digest);
        continue;
      }
      const auto& content = load.contents.emplace_back(value->begin(), value->end());
      load.chunks.push_back({.digest = digest, .bytes = content});
    }
    return {};
  }));
  return load;
}

void ChunkStore::drop_rotten(const SegmentPtr& segment, std::span<const Digest> digests) {
  for (const Digest& digest : digests) {
    log_.error("cache.chunk_rotten",
               {{"chunk", to_hex(digest)}, {"error", "it was found when it had to move"}});
    const std::unique_lock lock(mutex_);
    const auto place = places_.find(digest);
    if (!place->second.is_rotten) ++rotten_;
    places_.erase(place);
    segment->strays.push_back(digest);
  }
}

net::awaitable<Status> ChunkStore::remove_strays(SegmentPtr segment) {
  if (segment->strays.empty()) co_return Status{};
  std::uint64_t bytes = 0;
  POSTERN_CO_CHECK(co_await segment->database->write([&](WriteTxn& txn) -> Status {
    bytes = 0;
    for (const Digest& digest : segment->strays) {
      POSTERN_TRY(const auto value, txn.get(kChunks, digest));
      if (!value) continue;
      bytes += pages_of(value->size());
      POSTERN_CHECK(txn.del(kChunks, digest));
    }
    return {};
  }));
  segment->live_bytes -= bytes;
  segment->strays.clear();
  co_return Status{};
}

}  // namespace postern::gateway
