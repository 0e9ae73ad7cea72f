#include "gateway/cache/cache.hpp"

namespace postern::gateway {
namespace {

/// Entries kept while nobody reads them: each holds the digests of an artifact's parts.
constexpr std::size_t kIdleEntriesMax = 64;
constexpr std::size_t kReadBytes = 256 << 10;
/// How long a reader waits for bytes that are on their way (decision 3).
constexpr Duration kWaitMax = std::chrono::minutes(4);
constexpr Duration kUnwind = std::chrono::seconds(5);

}  // namespace

/// The body of one answer: takes bytes from memory, from the store, or waits for the fill; and when nobody
/// brings them, gets the rest from the upstream itself.
class Cache::Reader final : public http::Body {
 public:
  Reader(Cache& cache, std::shared_ptr<Entry> entry, std::uint64_t first, std::uint64_t last)
      : cache_(cache), entry_(std::move(entry)), at_(first), end_(last + 1), size_(last + 1 - first) {}

  std::optional<std::uint64_t> length() const override { return size_; }

  net::awaitable<Result<Bytes>> next() override {
    SteadyTime give_up = cache_.clock_.now() + kWaitMax;
    while (at_ < end_) {
      if (direct_) co_return co_await next_direct();
      const auto look = entry_->look(at_);
      if (const auto* memory = std::get_if<Entry::InMemory>(&look.place)) {
        chunk_ = memory->chunk;  // keeps it alive until the next call
        co_return take(Bytes(chunk_->bytes).subspan(memory->offset, memory->length));
      }
      if (const auto* refused = std::get_if<Entry::Refused>(&look.place)) co_return refused->error;
      if (const auto* stored = std::get_if<Entry::Stored>(&look.place)) {
        auto bytes = co_await read(*stored);
        if (bytes) co_return bytes;
        if (bytes.error().reason != Reason::not_found) co_return bytes;
        entry_->lose(stored->digest);
        continue;
      }
      if (std::holds_alternative<Entry::Absent>(look.place)) {
        POSTERN_CO_CHECK(co_await go_direct());
        continue;
      }
      if (cache_.clock_.now() >= give_up) co_return exhausted("waited too long for bytes of the artifact");
      co_await entry_->changed(look.generation);
    }
    co_return Bytes{};
  }

 private:
  Bytes take(Bytes bytes) {
    const Bytes taken =
        bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), end_ - at_)));
    at_ += taken.size();
    cache_.metrics_.site_artifact_bytes += taken.size();
    return taken;
  }

  net::awaitable<Result<Bytes>> read(const Entry::Stored& stored) {
    buffer_.resize(std::min(stored.length, kReadBytes));
    const auto count = co_await cache_.pool_.run(
        [&] { return cache_.chunks_->read(stored.digest, stored.offset, buffer_); });
    if (!count) co_return count.error();
    if (*count == 0) co_return not_found("a chunk is empty");
    co_return take(Bytes(buffer_).first(*count));
  }

  net::awaitable<Status> go_direct() {
    ++cache_.metrics_.pass_throughs;
    POSTERN_CO_TRY(direct_, co_await cache_.source_.open(entry_->key(), at_, std::nullopt));
    const auto size = entry_->size().first;
    if (size && direct_->total != *size) co_return conflict("the upstream's artifact has another size now");
    co_return Status{};
  }

  net::awaitable<Result<Bytes>> next_direct() {
    POSTERN_CO_TRY(const Bytes bytes, co_await direct_->body->next());
    if (bytes.empty()) co_return Error{Kind::transient, Reason::closed, "the upstream's answer ended early"};
    co_return take(bytes);
  }

  Cache& cache_;
  std::shared_ptr<Entry> entry_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::uint64_t size_;
  std::shared_ptr<const MemoryChunk> chunk_;
  std::vector<std::byte> buffer_;
  std::optional<SourceStream> direct_;
};

Cache::Cache(Source& source, Catalog& catalog, ChunkStore* chunks, Pool& pool, Metrics& metrics, Clock& clock,
             Log& log, const net::any_io_executor& executor)
    : source_(source),
      catalog_(catalog),
      chunks_(chunks),
      pool_(pool),
      metrics_(metrics),
      clock_(clock),
      log_(log),
      executor_(executor),
      scope_(executor, log) {}

Cache::~Cache() = default;

net::awaitable<Result<OpenedArtifact>> Cache::open(ArtifactKey key, std::optional<std::string> range_field) {
  POSTERN_CO_TRY(const auto artifact, catalog_.find(key));
  if (!artifact) co_return not_found("Resource not found");
  if (artifact->is_private || chunks_ == nullptr)
    co_return co_await pass_through(key, std::move(range_field));
  POSTERN_CO_TRY(const auto entry, entry_for(*artifact));
  ensure_fill(entry);
  if (!entry->size().first && !entry->is_filling() && !entry->refusal()) {
    co_return co_await pass_through(key, std::move(range_field));
  }
  POSTERN_CO_TRY(const std::uint64_t total, co_await size_of(entry));
  const auto wanted = http::parse_range(range_field, total);
  if (wanted.present && !wanted.range) co_return invalid("range cannot be satisfied");
  const http::ByteRange range = wanted.range.value_or(http::ByteRange{.first = 0, .last = total - 1});
  co_return OpenedArtifact{.body = std::make_unique<Reader>(*this, entry, range.first, range.last),
                           .first = range.first,
                           .last = range.last,
                           .total = total,
                           .is_ranged = wanted.present};
}

net::awaitable<Result<std::uint64_t>> Cache::size_of(std::shared_ptr<Entry> entry) {
  const SteadyTime give_up = clock_.now() + kWaitMax;
  for (;;) {
    const auto [size, generation] = entry->size();
    if (auto refusal = entry->refusal()) co_return *std::move(refusal);
    if (size) co_return *size;
    if (!entry->is_filling() || clock_.now() >= give_up) {
      co_return transient("the upstream does not give out the artifact");
    }
    co_await entry->changed(generation);
  }
}

net::awaitable<Result<OpenedArtifact>> Cache::pass_through(ArtifactKey key,
                                                           std::optional<std::string> range_field) {
  ++metrics_.pass_throughs;
  POSTERN_CO_TRY(auto stream, co_await source_.open(key, 0, std::nullopt));
  if (range_field) {
    // The size has to be known before a range can be understood, and only the upstream knows it.
    const auto wanted = http::parse_range(range_field, stream.total);
    if (!wanted.range) co_return invalid("range cannot be satisfied");
    stream.body.reset();
    POSTERN_CO_TRY(stream, co_await source_.open(key, wanted.range->first, wanted.range->last));
  }
  co_return OpenedArtifact{.body = std::move(stream.body),
                           .first = stream.first,
                           .last = stream.last,
                           .total = stream.total,
                           .is_ranged = range_field.has_value()};
}

Result<std::shared_ptr<Entry>> Cache::entry_for(const CachedArtifact& artifact) {
  const std::lock_guard lock(mutex_);
  if (const auto until = refused_until_.find(artifact.key); until != refused_until_.end()) {
    if (clock_.now() < until->second) {
      return corrupt("what the upstream gave out was refused a moment ago");
    }
    refused_until_.erase(until);
  }
  if (const auto known = entries_.find(artifact.key); known != entries_.end()) return known->second;
  auto entry = std::make_shared<Entry>(artifact.key, artifact.name);
  if (artifact.size_bytes > 0) {
    POSTERN_TRY(const auto segments, catalog_.segments_of(artifact.key));
    entry->load(artifact.size_bytes, artifact.digest.has_value(), segments);
  }
  if (entries_.size() >= kIdleEntriesMax) {
    std::erase_if(entries_, [](const auto& pair) { return pair.second.use_count() == 1; });
  }
  entries_[artifact.key] = entry;
  return entry;
}

void Cache::ensure_fill(const std::shared_ptr<Entry>& entry) {
  if (entry->is_complete() || entry->refusal()) return;
  if (fills_ >= kFillsMax || clock_.now() < no_room_until_.load() || !entry->begin_fill()) return;
  ++fills_;
  ++metrics_.cache_fills;
  if (!scope_.spawn(executor_, "cache.fill", run_fill(entry))) {
    entry->end_fill();
    --fills_;
  }
}

net::awaitable<void> Cache::run_fill(std::shared_ptr<Entry> entry) {
  // However the fill ends, readers are told, or they would wait for ever.
  struct End {
    Cache& cache;
    Entry& entry;
    ~End() {
      entry.end_fill();
      --cache.fills_;
    }
  } const end{*this, *entry};
  Fill fill({.source = source_,
             .catalog = catalog_,
             .chunks = *chunks_,
             .pool = pool_,
             .clock = clock_,
             .log = log_},
            entry);
  co_await fill.run();
  if (fill.found_no_room()) no_room_until_ = clock_.now() + kNoRoomTime;
  if (!entry->refusal()) co_return;
  ++metrics_.cache_refusals;
  const std::lock_guard lock(mutex_);
  entries_.erase(entry->key());
  refused_until_[entry->key()] = clock_.now() + kRefusalTime;
}

net::awaitable<Status> Cache::stop() {
  scope_.stop(net::cancellation_type::terminal);
  co_return co_await scope_.join(clock_, kUnwind);
}

}  // namespace postern::gateway
