#include "gateway/cache/chunk_store.hpp"

#include <charconv>
#include <filesystem>

#include "gateway/cache/segment_layout.hpp"
#include "shared/base/fault_point.hpp"

namespace postern::gateway {
namespace {

constexpr Table kTurns{"turns"};  ///< one row that is written to have a commit, see remove()
constexpr std::string_view kTurnKey = "turn";
constexpr std::string_view kSegmentPrefix = "segment-";
/// After a write for which there should have been room.
constexpr Duration kFullTime = std::chrono::minutes(1);
/// Chunks that one commit removes: LMDB notes each of their pages.
constexpr std::size_t kRemoveCount = 128;

std::optional<std::uint32_t> number_of(std::string_view name) {
  if (!name.starts_with(kSegmentPrefix)) return std::nullopt;
  name.remove_prefix(kSegmentPrefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

void remove_tree(const std::string& path, Log& log) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) log.warn("cache.segment_not_removed", {{"path", path}, {"error", error.message()}});
}

Error gone(const Digest& digest) {
  return not_found(fmt::format("chunk {} is not in the cache", to_hex(digest)));
}

Error has_rotted(const Digest& digest) {
  return corrupt(fmt::format("chunk {} is not what it should be", to_hex(digest)));
}

}  // namespace

ChunkStore::Hold::Hold(ChunkStore& store, std::vector<Digest> digests)
    : store_(&store), digests_(std::move(digests)) {
  const std::unique_lock lock(store_->mutex_);
  for (const Digest& digest : digests_) ++store_->holds_[digest];
}

ChunkStore::Hold::~Hold() {
  const std::unique_lock lock(store_->mutex_);
  for (const Digest& digest : digests_) {
    const auto found = store_->holds_.find(digest);
    if (--found->second == 0) store_->holds_.erase(found);
  }
}

ChunkStore::Hold ChunkStore::hold(std::vector<Digest> digests) {
  return {*this, std::move(digests)};
}

Result<std::unique_ptr<ChunkStore>> ChunkStore::open(ChunkStoreOptions options, Clock& clock, Log& log) {
  POSTERN_CHECK(open_directory(options.directory));  // makes it
  std::unique_ptr<ChunkStore> store(new ChunkStore(std::move(options), clock, log));
  std::vector<std::uint32_t> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(store->options_.directory, error)) {
    if (const auto number = number_of(entry.path().filename().string())) numbers.push_back(*number);
  }
  if (error) return from_errno(error.value(), fmt::format("list {}", store->options_.directory));
  std::ranges::sort(numbers);
  for (const std::uint32_t number : numbers) {
    auto segment = store->open_segment(number);
    if (segment) {
      store->segments_.push_back(*std::move(segment));
    } else if (segment.error().reason == Reason::conflict) {
      return std::move(segment).error();  // another gateway uses it
    } else {
      log.warn("cache.segment_dropped", {{"path", store->path_of(number)}, {"error", segment.error().what}});
      remove_tree(store->path_of(number), log);
    }
  }
  (void)store->unlink_empty();
  return store;
}

std::string ChunkStore::path_of(std::uint32_t number) const {
  return fmt::format("{}/{}{:06}", options_.directory, kSegmentPrefix, number);
}

Result<ChunkStore::SegmentPtr> ChunkStore::open_segment(std::uint32_t number) {
  POSTERN_TRY(auto database,
              options_.open_database({.path = path_of(number),
                                      .size_bytes_max = options_.segment_bytes,
                                      .tables = {kChunks, kTurns},
                                      .group_bytes_max = 64 << 20,
                                      // Copies megabytes, and nobody waits behind it but the fill.
                                      .closure_time_max = std::chrono::seconds(1)},
                                     clock_, log_));
  auto segment = std::make_shared<Segment>();
  segment->number = number;
  segment->database = std::move(database);
  POSTERN_CHECK(index(segment));
  return segment;
}

Status ChunkStore::index(const SegmentPtr& segment) {
  std::map<Digest, Place> found;
  POSTERN_CHECK(segment->database->read([&](const ReadTxn& txn) -> Status {
    return txn.scan(kChunks, {}, [&](Bytes key, Bytes value) -> Result<bool> {
      Digest digest;
      if (key.size() != digest.size()) return corrupt("a key in the cache is no digest");
      std::ranges::copy(key, digest.begin());
      found[digest] = {.segment = segment, .bytes = static_cast<std::uint32_t>(value.size())};
      return true;
    });
  }));
  const std::unique_lock lock(mutex_);
  for (auto& [digest, place] : found) {
    segment->live_bytes += pages_of(place.bytes);
    if (!places_.try_emplace(digest, std::move(place)).second) segment->strays.push_back(digest);
  }
  return {};
}

ChunkStore::Segments ChunkStore::segments() const {
  const std::shared_lock lock(mutex_);
  return segments_;
}

Status ChunkStore::view(const Digest& digest, const std::function<void(Bytes)>& use) const {
  std::shared_ptr<Database> database;
  for (;;) {
    {
      const std::shared_lock lock(mutex_);
      const auto place = places_.find(digest);
      // It may have been moved after we had looked, and is not in its old place then.
      if (place == places_.end() || place->second.segment->database == database) return gone(digest);
      if (place->second.is_rotten) return has_rotted(digest);
      database = place->second.segment->database;
    }
    bool is_here = false;
    POSTERN_CHECK(database->read([&](const ReadTxn& txn) -> Status {
      POSTERN_TRY(const auto value, txn.get(kChunks, digest));
      is_here = value.has_value();
      if (is_here) use(*value);
      return {};
    }));
    if (is_here) return {};
  }
}

Result<std::size_t> ChunkStore::read(const Digest& digest, std::size_t offset, MutableBytes out) const {
  std::size_t count = 0;
  POSTERN_CHECK(view(digest, [&](Bytes bytes) {
    const Bytes rest = bytes.subspan(std::min(offset, bytes.size()));
    count = std::min(rest.size(), out.size());
    std::ranges::copy(rest.first(count), out.begin());
  }));
  return count;
}

bool ChunkStore::contains(const Digest& digest) const {
  const std::shared_lock lock(mutex_);
  const auto place = places_.find(digest);
  return place != places_.end() && !place->second.is_rotten;
}

bool ChunkStore::is_checked(const Digest& digest) const {
  const std::shared_lock lock(mutex_);
  const auto place = places_.find(digest);
  return place != places_.end() && place->second.is_checked;
}

Status ChunkStore::check(const Digest& digest) {
  {
    std::unique_lock lock(mutex_);
    for (;;) {
      const auto place = places_.find(digest);
      if (place == places_.end()) return gone(digest);
      if (!place->second.is_being_checked) {
        place->second.is_being_checked = true;
        break;
      }
      // Somebody is at it, for milliseconds or as long as the disk takes.
      checked_one_.wait(lock);
      const auto now = places_.find(digest);
      if (now != places_.end() && !now->second.is_being_checked && now->second.is_checked) return {};
    }
  }
  Digest actual{};
  auto viewed = view(digest, [&](Bytes bytes) { actual = sha256(bytes); });
  const bool is_good = viewed && actual == digest;
  if (viewed && !is_good) viewed = has_rotted(digest);
  {
    const std::unique_lock lock(mutex_);
    ++checked_;
    if (const auto place = places_.find(digest); place != places_.end()) {
      place->second.is_being_checked = false;
      place->second.is_checked = is_good;
      if (!is_good && !place->second.is_rotten) {
        place->second.is_rotten = true;
        ++rotten_;
      }
    }
  }
  checked_one_.notify_all();
  if (!viewed) log_.error("cache.chunk_rotten", {{"chunk", to_hex(digest)}, {"error", viewed.error().what}});
  return viewed;
}

std::uint64_t ChunkStore::growth_bytes(bool within_quota) const {
  const auto directory = open_directory(options_.directory);
  const auto free = directory ? (*directory)->free_bytes() : Result<std::uint64_t>(directory.error());
  if (!free) return 0;
  const std::uint64_t disk = *free - std::min(*free, options_.free_bytes_min);
  if (!within_quota) return disk;
  return std::min(disk, options_.bytes_max - std::min(used_bytes(), options_.bytes_max));
}

std::vector<ChunkStore::Room> ChunkStore::rooms(std::uint64_t growth) const {
  const SteadyTime now = clock_.now();
  std::vector<Room> rooms;
  for (const auto& segment : segments()) {
    if (segment->is_leaving || now < segment->full_until.load()) continue;
    const auto stats = segment->database->stats();
    const std::uint64_t limit = std::min(stats.size_bytes_max, stats.used_bytes + growth);
    const std::uint64_t taken = segment->live_bytes + kOverheadBytes;
    if (limit <= taken) continue;
    rooms.push_back({.segment = segment,
                     .bytes = limit - taken,
                     .growth_bytes = limit - std::min(limit, std::max(taken, stats.used_bytes))});
  }
  const std::uint64_t fresh = std::min(options_.segment_bytes, growth);
  if (fresh > kOverheadBytes) {
    rooms.push_back({.segment = nullptr, .bytes = fresh - kOverheadBytes, .growth_bytes = fresh});
  }
  return rooms;
}

bool ChunkStore::has_room_for(std::size_t chunks) const {
  std::uint64_t growth = growth_bytes();
  std::uint64_t found = 0;
  for (const Room& room : rooms(growth)) {
    // They share what the files may still grow by.
    const std::uint64_t shared = std::min(growth, room.growth_bytes);
    growth -= shared;
    found += (room.bytes - std::min(room.bytes, room.growth_bytes - shared)) / pages_of(kChunkBytes);
  }
  return found >= chunks;
}

ChunkStore::Usage ChunkStore::usage() const {
  Usage usage{.bytes_max = options_.bytes_max};
  for (const auto& segment : segments()) {
    usage.file_bytes += segment->database->stats().used_bytes;
    usage.live_bytes += segment->live_bytes;
    ++usage.segments;
  }
  const std::shared_lock lock(mutex_);
  usage.chunks = places_.size();
  usage.checked = checked_;
  usage.rotten = rotten_;
  return usage;
}

std::vector<ChunkStore::Chunk> ChunkStore::only_new(std::vector<Chunk> chunks) const {
  std::ranges::sort(chunks, {}, &Chunk::digest);
  const auto same = std::ranges::unique(chunks, {}, &Chunk::digest);
  chunks.erase(same.begin(), same.end());
  std::erase_if(chunks, [&](const Chunk& chunk) { return contains(chunk.digest); });
  return chunks;
}

Result<ChunkStore::Target> ChunkStore::place_for(std::span<const Chunk> chunks) {
  {
    // A rotten chunk is replaced where it lies, or there would be two of it.
    const std::shared_lock lock(mutex_);
    const auto place = places_.find(chunks.front().digest);
    if (place != places_.end()) return Target(place->second.segment, 1);
  }
  return room_for(chunks, growth_bytes());
}

Result<ChunkStore::Target> ChunkStore::room_for(std::span<const Chunk> chunks, std::uint64_t growth) {
  const auto all = rooms(growth);
  const auto fits = [&](const Room& room) {
    std::uint64_t bytes = 0;
    std::size_t count = 0;
    for (; count < chunks.size(); ++count) {
      bytes += pages_of(chunks[count].bytes.size());
      if (bytes > room.bytes) break;
    }
    return count;
  };
  // The first that takes them all keeps together what is read together; else the one that takes most.
  auto best = std::ranges::find_if(all, [&](const Room& room) { return fits(room) == chunks.size(); });
  if (best == all.end()) best = std::ranges::max_element(all, {}, &Room::bytes);
  if (best == all.end() || fits(*best) == 0) {
    return exhausted(fmt::format("the cache has no room for {} chunks more", chunks.size()));
  }
  if (best->segment) return Target(best->segment, fits(*best));
  const Segments known = segments();
  POSTERN_TRY(auto fresh, open_segment(known.empty() ? 1 : known.back()->number + 1));
  const std::unique_lock lock(mutex_);
  segments_.push_back(fresh);
  return Target(std::move(fresh), fits(*best));
}

net::awaitable<Status> ChunkStore::write(SegmentPtr segment, std::span<const Chunk> chunks) {
  std::uint64_t bytes = 0;
  for (const Chunk& chunk : chunks) bytes += pages_of(chunk.bytes.size());
  const std::uint64_t before = segment->database->stats().used_bytes;
  const std::uint64_t expected = std::max(before, segment->live_bytes + bytes + kOverheadBytes);
  POSTERN_CO_CHECK(co_await segment->database->write([&](WriteTxn& txn) -> Status {
    for (const Chunk& chunk : chunks) POSTERN_CHECK(txn.put(kChunks, chunk.digest, chunk.bytes));
    return {};
  }));
  // Free pages that do not lie together are of no use to a chunk: then the file grows although it need not.
  if (segment->database->stats().used_bytes > expected) segment->full_until = clock_.now() + kFullTime;
  const std::unique_lock lock(mutex_);
  for (const Chunk& chunk : chunks) {
    Place& place = places_[chunk.digest];
    if (place.segment != segment) {
      // A stray that lies here already was counted when it was found.
      if (std::erase(segment->strays, chunk.digest) == 0) segment->live_bytes += pages_of(chunk.bytes.size());
      if (place.segment) place.segment->strays.push_back(chunk.digest);
    }
    place = {.segment = segment,
             .bytes = static_cast<std::uint32_t>(chunk.bytes.size()),
             .is_checked = true,
             .is_being_checked = place.is_being_checked};
  }
  co_return Status{};
}

net::awaitable<Status> ChunkStore::put(std::vector<Chunk> chunks, Pool& pool) {
  const auto turn = co_await turns_.take();
  chunks = only_new(std::move(chunks));
  co_return co_await store(chunks, [this](std::span<const Chunk> rest) { return place_for(rest); }, pool);
}

net::awaitable<Status> ChunkStore::store(std::span<const Chunk> chunks,
                                         std::function<Result<Target>(std::span<const Chunk>)> target_for,
                                         Pool& pool) {
  while (!chunks.empty()) {
    auto target = co_await pool.run([&] { return target_for(chunks); });
    if (!target) co_return std::move(target).error();
    const auto& [segment, count] = *target;
    if (auto written = co_await write(segment, chunks.first(count)); written) {
      chunks = chunks.subspan(count);
    } else if (written.error().kind == Kind::exhausted && clock_.now() >= segment->full_until.load()) {
      segment->full_until = clock_.now() + kFullTime;  // another may have room
    } else {
      co_return written;
    }
  }
  co_return Status{};
}

std::vector<std::pair<ChunkStore::SegmentPtr, std::vector<Digest>>> ChunkStore::by_segment(
    std::span<const Digest> digests) const {
  std::map<std::uint32_t, std::pair<SegmentPtr, std::vector<Digest>>> sorted;
  {
    const std::shared_lock lock(mutex_);
    for (const Digest& digest : digests) {
      const auto place = places_.find(digest);
      if (place == places_.end()) continue;
      auto& [segment, here] = sorted[place->second.segment->number];
      segment = place->second.segment;
      here.push_back(digest);
    }
  }
  std::vector<std::pair<SegmentPtr, std::vector<Digest>>> all;
  for (auto& [number, pair] : sorted) all.push_back(std::move(pair));
  return all;
}

Result<std::vector<Digest>> ChunkStore::only_unwanted(std::span<const Digest> digests,
                                                      const IsReferenced& is_referenced) const {
  std::vector<Digest> unwanted;
  for (const Digest& digest : digests) {
    // In this order: who lets go of a chunk refers to it by then.
    {
      const std::shared_lock lock(mutex_);
      if (holds_.contains(digest)) continue;
    }
    POSTERN_TRY(const bool is_wanted, is_referenced(digest));
    if (!is_wanted) unwanted.push_back(digest);
  }
  return unwanted;
}

net::awaitable<Status> ChunkStore::remove_from(SegmentPtr segment, std::span<const Digest> digests,
                                               Removed& removed) {
  POSTERN_FAULT_POINT("chunks.before_remove");
  POSTERN_CO_CHECK(co_await segment->database->write([&](WriteTxn& txn) -> Status {
    for (const Digest& digest : digests) POSTERN_CHECK(txn.del(kChunks, digest));
    return {};
  }));
  POSTERN_FAULT_POINT("chunks.after_remove");
  const std::unique_lock lock(mutex_);
  for (const Digest& digest : digests) {
    const auto place = places_.find(digest);
    removed.chunks += 1;
    removed.bytes += place->second.bytes;
    segment->live_bytes -= pages_of(place->second.bytes);
    places_.erase(place);
  }
  segment->full_until = SteadyTime::min();
  co_return Status{};
}

net::awaitable<Result<ChunkStore::Removed>> ChunkStore::remove(std::vector<Digest> digests,
                                                               IsReferenced is_referenced, Pool& pool) {
  const auto turn = co_await turns_.take();
  std::ranges::sort(digests);
  const auto same = std::ranges::unique(digests);
  digests.erase(same.begin(), same.end());
  Removed removed;
  for (const auto& [segment, here] : by_segment(digests)) {
    const std::uint64_t before = removed.chunks;
    for (std::span<const Digest> rest = here; !rest.empty();) {
      const auto slice = rest.first(std::min(rest.size(), kRemoveCount));
      rest = rest.subspan(slice.size());
      const auto unwanted = co_await pool.run([&] { return only_unwanted(slice, is_referenced); });
      if (!unwanted) co_return unwanted.error();
      if (!unwanted->empty()) POSTERN_CO_CHECK(co_await remove_from(segment, *unwanted, removed));
    }
    if (removed.chunks == before) continue;
    // LMDB uses the pages that a commit has freed after one more commit, so here is one.
    const std::uint64_t turn_number = ++segment->turn;
    POSTERN_CO_CHECK(co_await segment->database->write([&](WriteTxn& txn) -> Status {
      return txn.put(kTurns, as_bytes(kTurnKey), as_bytes(std::to_string(turn_number)));
    }));
  }
  removed += co_await pool.run([&] { return unlink_empty(); });
  co_return removed;
}

ChunkStore::Removed& ChunkStore::Removed::operator+=(const Removed& more) {
  chunks += more.chunks;
  bytes += more.bytes;
  segments += more.segments;
  disk_bytes += more.disk_bytes;
  return *this;
}

ChunkStore::Removed ChunkStore::unlink_empty() {
  Removed removed;
  std::vector<std::uint32_t> numbers;
  {
    const std::unique_lock lock(mutex_);
    std::erase_if(segments_, [&](const SegmentPtr& segment) {
      if (segment->live_bytes != 0) return false;
      numbers.push_back(segment->number);
      removed.disk_bytes += segment->database->stats().used_bytes;
      return true;
    });
  }
  for (const std::uint32_t number : numbers) {
    log_.info("cache.segment_removed", {{"segment", number}});
    remove_tree(path_of(number), log_);
  }
  removed.segments = numbers.size();
  return removed;
}

std::vector<Digest> ChunkStore::list_after(const std::optional<Digest>& digest, std::size_t count) const {
  const std::shared_lock lock(mutex_);
  std::vector<Digest> found;
  for (auto place = digest ? places_.upper_bound(*digest) : places_.begin();
       place != places_.end() && found.size() < count; ++place) {
    found.push_back(place->first);
  }
  return found;
}

}  // namespace postern::gateway
