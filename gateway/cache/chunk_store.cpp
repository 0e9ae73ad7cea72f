#include "gateway/cache/chunk_store.hpp"

#include <charconv>
#include <filesystem>

namespace postern::gateway {
namespace {

constexpr Table kChunks{"chunks"};  ///< SHA-256 -> bytes
constexpr std::string_view kSegmentPrefix = "segment-";
/// A segment that was read so recently is being served.
constexpr Duration kServingTime = std::chrono::seconds(30);
/// What LMDB needs beside the values: pages of the tree, those that a commit frees, and some to begin with.
constexpr std::uint64_t kOverheadBytes = 2 << 20;

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

}  // namespace

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
  return store;
}

std::string ChunkStore::path_of(std::uint32_t number) const {
  return fmt::format("{}/{}{:06}", options_.directory, kSegmentPrefix, number);
}

Result<std::shared_ptr<ChunkStore::Segment>> ChunkStore::open_segment(std::uint32_t number) {
  POSTERN_TRY(auto database, open_lmdb_database({.path = path_of(number),
                                                 .size_bytes_max = options_.segment_bytes,
                                                 .tables = {kChunks},
                                                 .group_bytes_max = 64 << 20,
                                                 // Copies megabytes, and nobody waits behind it but the fill.
                                                 .closure_time_max = std::chrono::seconds(1)},
                                                clock_, log_));
  auto segment = std::make_shared<Segment>();
  segment->number = number;
  segment->database = std::move(database);
  return segment;
}

ChunkStore::Segments ChunkStore::segments() const {
  const std::shared_lock lock(mutex_);
  return segments_;
}

Result<std::size_t> ChunkStore::read(const Digest& digest, std::size_t offset, MutableBytes out) const {
  for (const auto& segment : segments()) {
    std::optional<std::size_t> count;
    POSTERN_CHECK(segment->database->read([&](const ReadTxn& txn) -> Status {
      POSTERN_TRY(const auto value, txn.get(kChunks, digest));
      if (!value) return {};
      if (offset > value->size()) return corrupt("a chunk is shorter than its artifact says");
      const Bytes part = value->subspan(offset, std::min(out.size(), value->size() - offset));
      std::ranges::copy(part, out.begin());
      count = part.size();
      return {};
    }));
    if (!count) continue;
    segment->last_read = clock_.now().time_since_epoch().count();
    return *count;
  }
  return not_found(fmt::format("chunk {} is not in the cache", to_hex(digest)));
}

bool ChunkStore::contains(const Digest& digest) const {
  return read(digest, 0, {}).has_value();
}

Status ChunkStore::view(const Digest& digest, const std::function<void(Bytes)>& use) const {
  {
    const std::shared_lock lock(mutex_);
    if (rotten_.contains(digest)) return corrupt(fmt::format("chunk {} has rotted", to_hex(digest)));
  }
  for (const auto& segment : segments()) {
    bool found = false;
    POSTERN_CHECK(segment->database->read([&](const ReadTxn& txn) -> Status {
      POSTERN_TRY(const auto value, txn.get(kChunks, digest));
      found = value.has_value();
      if (found) use(*value);
      return {};
    }));
    if (!found) continue;
    segment->last_read = clock_.now().time_since_epoch().count();
    return {};
  }
  return not_found(fmt::format("chunk {} is not in the cache", to_hex(digest)));
}

bool ChunkStore::is_checked(const Digest& digest) const {
  const std::shared_lock lock(mutex_);
  return checked_.contains(digest);
}

Status ChunkStore::check(const Digest& digest) {
  Digest found{};
  POSTERN_CHECK(view(digest, [&](Bytes bytes) { found = sha256(bytes); }));
  const std::unique_lock lock(mutex_);
  if (found == digest) {
    checked_.insert(digest);
    return {};
  }
  rotten_.insert(digest);
  return corrupt(fmt::format("chunk {} has rotted", to_hex(digest)));
}

std::vector<ChunkStore::Chunk> ChunkStore::only_new(std::vector<Chunk> chunks) const {
  std::erase_if(chunks, [&](const Chunk& chunk) { return contains(chunk.digest); });
  return chunks;
}

net::awaitable<Status> ChunkStore::put(std::vector<Chunk> chunks, Pool& pool) {
  chunks = co_await pool.run([&] { return only_new(std::move(chunks)); });
  if (chunks.empty()) co_return Status{};
  std::uint64_t bytes = 0;
  for (const Chunk& chunk : chunks) bytes += chunk.bytes.size();
  auto segment = co_await pool.run([&] { return segment_for(bytes); });
  if (!segment) co_return std::move(segment).error();
  auto written = co_await (*segment)->database->write([&](WriteTxn& txn) -> Status {
    for (const Chunk& chunk : chunks) POSTERN_CHECK(txn.put(kChunks, chunk.digest, chunk.bytes));
    return {};
  });
  (*segment)->last_read = clock_.now().time_since_epoch().count();
  co_return written;
}

std::uint64_t ChunkStore::used_bytes() const {
  std::uint64_t used = 0;
  for (const auto& segment : segments()) used += segment->database->stats().used_bytes;
  return used;
}

Status ChunkStore::check_free_space(std::uint64_t bytes) const {
  POSTERN_TRY(const auto directory, open_directory(options_.directory));
  POSTERN_TRY(const std::uint64_t free, directory->free_bytes());
  if (free >= bytes + options_.free_bytes_min) return {};
  return exhausted(fmt::format("{} has {} bytes left, of which {} are to stay free", options_.directory, free,
                               options_.free_bytes_min));
}

Result<std::shared_ptr<ChunkStore::Segment>> ChunkStore::segment_for(std::uint64_t bytes) {
  const std::lock_guard growing(growing_);
  while (used_bytes() + bytes > options_.bytes_max) POSTERN_CHECK(evict_one());
  if (!check_free_space(bytes)) {
    POSTERN_CHECK(evict_one());
    POSTERN_CHECK(check_free_space(bytes));
  }
  const Segments all = segments();
  if (!all.empty()) {
    const auto stats = all.back()->database->stats();
    if (stats.used_bytes + bytes + kOverheadBytes <= stats.size_bytes_max) return all.back();
  }
  POSTERN_TRY(auto fresh, open_segment(all.empty() ? 1 : all.back()->number + 1));
  const std::unique_lock lock(mutex_);
  segments_.push_back(fresh);
  return fresh;
}

Status ChunkStore::evict_one() {
  const Segments all = segments();
  const auto read_at = [](const std::shared_ptr<Segment>& segment) { return segment->last_read.load(); };
  const auto oldest = std::ranges::min_element(all, {}, read_at);
  const SteadyTime::rep limit = (clock_.now() - kServingTime).time_since_epoch().count();
  if (oldest == all.end() || (read_at(*oldest) != 0 && read_at(*oldest) > limit)) {
    return exhausted("the cache is full of what is being served");
  }
  {
    const std::unique_lock lock(mutex_);
    std::erase(segments_, *oldest);
  }
  log_.info("cache.segment_evicted",
            {{"segment", (*oldest)->number}, {"size_bytes", (*oldest)->database->stats().used_bytes}});
  remove_tree(path_of((*oldest)->number), log_);
  return {};
}

}  // namespace postern::gateway
