#include "gateway/cache/cache.hpp"

#include "gateway/cache/reader.hpp"
#include "shared/http/message.hpp"

namespace postern::gateway {
namespace {

/// Entries kept while nobody reads them: each holds the digests of an artifact's parts.
constexpr std::size_t kIdleEntriesMax = 64;
/// Of an artifact that is not kept and has to be verified before anybody gets it.
constexpr std::size_t kVerifiedInMemoryMax = 16 << 20;

}  // namespace

Cache::Cache(Source& source, Catalog& catalog, ChunkStore* chunks, Pool& pool, Metrics& metrics, Clock& clock,
             Log& log, const net::any_io_executor& executor, CacheOptions options)
    : source_(source),
      catalog_(catalog),
      chunks_(chunks),
      pool_(pool),
      metrics_(metrics),
      clock_(clock),
      log_(log),
      executor_(executor),
      options_(std::move(options)),
      scope_(executor, log),
      verification_(std::make_shared<const Verification>(options_.keys)) {
  if (chunks_ == nullptr) return;
  evictor_ = std::make_unique<Evictor>(
      catalog_, *chunks_, pool_, metrics_, log_, options_.keep_last,
      [this](const ArtifactKey& key) { return is_busy(key); },
      [this](const ArtifactKey& key) { return retire(key); });
  scrubber_ =
      std::make_unique<Scrubber>(*chunks_, catalog_, pool_, metrics_, clock_, log_, options_.scrub_interval,
                                 [this](const Digest& chunk) { return repair(chunk); });
  add_metrics();
}

Cache::~Cache() = default;

net::awaitable<Result<OpenedArtifact>> Cache::open(ArtifactKey key, std::optional<std::string> range_field) {
  POSTERN_CO_TRY(const auto artifact, catalog_.find(key));
  if (!artifact) co_return not_found("Resource not found");
  if (artifact->is_private || chunks_ == nullptr) {
    if (options_.is_verified_only) co_return co_await pass_verified(key, std::move(range_field));
    co_return co_await pass_through(key, std::move(range_field));
  }
  if (artifact->quarantine) {
    POSTERN_CO_CHECK(retry(*artifact));
    co_return corrupt(fmt::format("the artifact is in quarantine: {}", artifact->quarantine->reason));
  }
  POSTERN_CO_TRY(auto seat, entry_for(*artifact));
  co_return co_await open_entry(std::move(seat), std::move(range_field));
}

net::awaitable<Result<OpenedArtifact>> Cache::open_entry(SeatPtr seat,
                                                         std::optional<std::string> range_field) {
  const std::shared_ptr<Entry> entry(seat, seat->entry());
  count_opening(*entry);
  ensure_fill(entry->shared_from_this(), FillClass::interactive);
  catalog_.note_used(entry->key());
  if (options_.is_verified_only) {
    if (!entry->is_verified()) co_return transient("the artifact is not verified yet");
  } else if (!entry->size().first && !entry->is_filling() && !entry->refusal()) {
    co_return co_await pass_through(entry->key(), std::move(range_field));
  }
  POSTERN_CO_TRY(const std::uint64_t total, co_await size_of(seat));
  const auto wanted = http::parse_range(range_field, total);
  if (wanted.present && !wanted.range) co_return invalid("range cannot be satisfied");
  const http::ByteRange range = wanted.range.value_or(http::ByteRange{.first = 0, .last = total - 1});
  auto reader = std::make_unique<Reader>(
      ReaderContext{
          .source = source_, .chunks = *chunks_, .pool = pool_, .metrics = metrics_, .clock = clock_},
      entry, range.first, range.last);
  auto cache_bytes = reader->cache_bytes();
  co_return OpenedArtifact{.body = std::move(reader),
                           .cache_bytes = std::move(cache_bytes),
                           .first = range.first,
                           .last = range.last,
                           .total = total,
                           .is_ranged = wanted.present};
}

void Cache::count_opening(const Entry& entry) {
  if (entry.is_complete()) {
    ++metrics_.cache_hits;
  } else if (entry.is_filling()) {
    ++metrics_.cache_joined;
  } else {
    ++metrics_.cache_misses;
  }
}

net::awaitable<Result<std::uint64_t>> Cache::size_of(SeatPtr seat) {
  Entry& entry = *seat->entry();
  const SteadyTime give_up = clock_.now() + kReaderWaitMax;
  for (;;) {
    const auto [size, generation] = entry.size();
    if (auto refusal = entry.refusal()) co_return *std::move(refusal);
    if (size) co_return *size;
    if (!entry.is_filling() || clock_.now() >= give_up) {
      co_return transient("the upstream does not give out the artifact");
    }
    co_await entry.changed(generation);
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
                           .cache_bytes = nullptr,
                           .first = stream.first,
                           .last = stream.last,
                           .total = stream.total,
                           .is_ranged = range_field.has_value()};
}

net::awaitable<Result<OpenedArtifact>> Cache::pass_verified(ArtifactKey key,
                                                            std::optional<std::string> range_field) {
  ++metrics_.pass_throughs;
  POSTERN_CO_TRY(auto stream, co_await source_.open(key, 0, std::nullopt));
  POSTERN_CO_TRY(std::string all, co_await http::read_all(*stream.body, kVerifiedInMemoryMax));
  const auto with = verification();
  POSTERN_CO_CHECK(co_await pool_.run([&]() -> Status {
    ArtifactSummary summary;
    ArtifactReader reader({.keys = *with->keys, .require_signature = !with->keys->empty()}, summary);
    POSTERN_CHECK(reader.feed(as_bytes(all)));
    return reader.finish();
  }));
  const std::uint64_t total = all.size();
  const auto wanted = http::parse_range(range_field, total);
  if (wanted.present && !wanted.range) co_return invalid("range cannot be satisfied");
  const http::ByteRange range = wanted.range.value_or(http::ByteRange{.first = 0, .last = total - 1});
  co_return OpenedArtifact{
      .body = std::make_unique<http::TextBody>(all.substr(range.first, range.last + 1 - range.first)),
      .cache_bytes = nullptr,
      .first = range.first,
      .last = range.last,
      .total = total,
      .is_ranged = wanted.present};
}

Result<Cache::SeatPtr> Cache::entry_for(const CachedArtifact& artifact) {
  const std::lock_guard lock(mutex_);
  if (const auto known = entries_.find(artifact.key); known != entries_.end()) {
    // One that was refused stays until that is on record.
    const bool is_current = known->second->revision() == artifact.revision ||
                            (known->second->refusal() && known->second->is_filling());
    if (is_current) return std::make_shared<Entry::Seat>(known->second);
    // Whoever still reads it goes on with what was opened.
    known->second->abandon();
  }
  auto entry = std::make_shared<Entry>(
      artifact.key, artifact.name,
      EntryOptions{
          .revision = artifact.revision,
          .is_strict = options_.is_verified_only,
          .on_loss = [this](Entry& lost) { ensure_fill(lost.shared_from_this(), FillClass::interactive); }});
  if (artifact.size_bytes > 0) {
    POSTERN_TRY(const auto segments, catalog_.segments_of(artifact.key));
    entry->load(artifact.size_bytes, artifact.digest && artifact.policy == verification_->policy, segments);
  }
  if (entries_.size() >= kIdleEntriesMax) {
    std::erase_if(entries_,
                  [](const auto& pair) { return pair.second->readers() == 0 && !pair.second->is_filling(); });
  }
  entries_[artifact.key] = entry;
  return std::make_shared<Entry::Seat>(std::move(entry));
}

std::shared_ptr<const Verification> Cache::verification() const {
  const std::lock_guard lock(mutex_);
  return verification_;
}

std::shared_ptr<Entry> Cache::peek(const ArtifactKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : found->second;
}

Result<bool> Cache::want(const ArtifactKey& key) {
  POSTERN_TRY(const auto artifact, catalog_.find(key));
  if (!artifact) return true;
  // What is private is verified when it is fetched.
  if (artifact->is_private || chunks_ == nullptr) return !source_.is_closed();
  if (artifact->quarantine) {
    POSTERN_CHECK(retry(*artifact));
    return false;
  }
  const auto known = peek(key);
  if (known && known->revision() == artifact->revision && known->refusal()) return false;
  if (!options_.is_verified_only && !source_.is_closed()) return true;
  POSTERN_TRY(const auto seat, entry_for(*artifact));
  const auto entry = seat->entry()->shared_from_this();
  if (source_.is_closed()) return entry->is_complete();
  const bool is_filling = ensure_fill(entry, FillClass::interactive);
  if (entry->is_verified()) return true;
  if (!is_filling) {
    // In its turn, then.
    if (auto queued = prefetch(key); !queued) log_.warn("cache.not_wanted", {{"error", queued.error().what}});
  }
  return false;
}

Status Cache::retry(const CachedArtifact& artifact) {
  const Quarantine& quarantine = *artifact.quarantine;
  const WallTime now = clock_.wall();
  if (!quarantine.retry) return {};
  // A clock that was ahead then and is set right does not make it wait until it is there again.
  if (now >= quarantine.refused && now < *quarantine.retry) return {};
  POSTERN_TRY(const auto seat, entry_for(artifact));
  ensure_fill(seat->entry()->shared_from_this(), FillClass::interactive);
  return {};
}

bool Cache::is_busy(const ArtifactKey& key) const {
  const auto entry = peek(key);
  return entry && (entry->readers() > 0 || entry->is_filling());
}

bool Cache::retire(const ArtifactKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return true;
  if (found->second->readers() > 0 || found->second->is_filling()) return false;
  entries_.erase(found);
  return true;
}

void Cache::add_metrics() {
  metrics_.collect([this](Scrape& scrape) {
    const auto usage = chunks_->usage();
    scrape.gauge("postern_gateway_cache_used_bytes", "Size of the cache's files.", usage.file_bytes);
    scrape.gauge("postern_gateway_cache_live_bytes", "Of that, what holds parts of artifacts.",
                 usage.live_bytes);
    scrape.gauge("postern_gateway_cache_quota_bytes", "What the cache's files may take.", usage.bytes_max);
    scrape.gauge("postern_gateway_cache_chunks", "Parts of artifacts that are stored.", usage.chunks);
    scrape.counter("postern_gateway_cache_chunks_rotten_total",
                   "Stored parts that were found to be other than they should be.", usage.rotten);
    constexpr std::string_view kRunning = "postern_gateway_cache_fills_running";
    constexpr std::string_view kRunningHelp = "Fills that run now, by whether somebody waits for them.";
    scrape.gauge(kRunning, kRunningHelp, interactive_.load(), {{"class", "interactive"}});
    scrape.gauge(kRunning, kRunningHelp, background_.load(), {{"class", "background"}});
    const std::lock_guard lock(mutex_);
    scrape.gauge("postern_gateway_cache_prefetches", "Prefetches that wait or run.", prefetches_.size());
  });
}

}  // namespace postern::gateway
