#include "gateway/cache/cache.hpp"

#include "gateway/cache/reader.hpp"

namespace postern::gateway {
namespace {

/// Entries kept while nobody reads them: each holds the digests of an artifact's parts.
constexpr std::size_t kIdleEntriesMax = 64;
constexpr Duration kUnwind = std::chrono::seconds(5);

}  // namespace

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
  co_return OpenedArtifact{
      .body = std::make_unique<Reader>(
          ReaderContext{
              .source = source_, .chunks = *chunks_, .pool = pool_, .metrics = metrics_, .clock = clock_},
          entry, range.first, range.last),
      .first = range.first,
      .last = range.last,
      .total = total,
      .is_ranged = wanted.present};
}

net::awaitable<Result<std::uint64_t>> Cache::size_of(std::shared_ptr<Entry> entry) {
  const SteadyTime give_up = clock_.now() + kReaderWaitMax;
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
