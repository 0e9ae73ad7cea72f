// The cache's part that runs by itself: fills, prefetches, evictions, and housekeeping.
#include "gateway/cache/cache.hpp"

#include "shared/base/cancellation.hpp"

namespace postern::gateway {
namespace {

/// For what is being stored when everything ends, and what has arrived behind it: two batches, to a slow
/// card.
constexpr Duration kUnwind = std::chrono::seconds(20);
constexpr Duration kHouseInterval = std::chrono::seconds(10);
/// Times of use live in memory for so long (decision 20).
constexpr int kFlushEvery = 6;
/// An artifact of which nothing is here is forgotten after this; longer than any deployment is open.
constexpr std::chrono::days kForgetAfter{180};
constexpr Duration kPrefetchPause = std::chrono::minutes(1);
constexpr int kPrefetchPauseDoublings = 5;
/// How long an eviction waits for a fill to notice.
constexpr Duration kAbandonMax = std::chrono::seconds(90);
constexpr Duration kAbandonStep = std::chrono::milliseconds(100);

}  // namespace

void Cache::start() {
  if (chunks_ == nullptr) return;
  scope_.spawn(executor_, "cache.keep_house", keep_house());
  scope_.spawn(executor_, "cache.scrub", scrubber_->run());
}

net::awaitable<Status> Cache::stop() {
  scope_.stop(net::cancellation_type::terminal);
  Status joined = co_await scope_.join(clock_, kUnwind);
  POSTERN_CO_CHECK(co_await catalog_.flush_used());
  co_return joined;
}

bool Cache::ensure_fill(const std::shared_ptr<Entry>& entry, FillClass fill_class) {
  if (entry->is_complete() || entry->refusal()) return false;
  {
    const std::lock_guard lock(mutex_);
    const bool is_interactive = fill_class == FillClass::interactive;
    if (entry->is_filling()) {
      if (is_interactive && entry->promote()) {
        ++interactive_;
        --background_;
      }
      return true;
    }
    if (clock_.now() < no_room_until_.load()) return false;
    if (is_interactive && interactive_ >= kFillsMax) return false;
    if (!entry->begin_fill(fill_class)) return true;
    ++(is_interactive ? interactive_ : background_);
  }
  ++metrics_.cache_fills;
  if (scope_.spawn(executor_, "cache.fill", run_fill(entry))) return true;
  end_fill(*entry, false);
  return false;
}

void Cache::end_fill(Entry& entry, bool is_done) {
  const std::lock_guard lock(mutex_);
  --(entry.fill_class() == FillClass::interactive ? interactive_ : background_);
  // Readers are told, or they would wait for ever.
  entry.end_fill();
  settle_prefetch(entry, is_done);
}

void Cache::settle_prefetch(const Entry& entry, bool is_done) {
  const auto wanted = std::ranges::find(prefetches_, entry.key(), &Prefetch::key);
  if (wanted == prefetches_.end() || entry.is_expired()) return;
  if (is_done || entry.refusal() || entry.is_abandoned() || ++wanted->tries >= kPrefetchTriesMax) {
    if (!is_done) log_.warn("cache.prefetch_ended", {{"artifact", entry.name()}});
    prefetches_.erase(wanted);
  } else {
    wanted->not_before =
        clock_.now() + (kPrefetchPause * (1 << std::min(wanted->tries - 1, kPrefetchPauseDoublings)));
  }
}

net::awaitable<void> Cache::run_fill(std::shared_ptr<Entry> entry) {
  // However the fill ends.
  struct End {
    Cache& cache;
    Entry& entry;
    bool is_done = false;
    ~End() { cache.end_fill(entry, is_done); }
  };
  {
    End end{*this, *entry};
    const auto with = verification();
    Fill fill({.source = source_,
               .catalog = catalog_,
               .chunks = *chunks_,
               .evictor = *evictor_,
               .pool = pool_,
               .clock = clock_,
               .log = log_,
               .verification = with,
               .is_anybody_waiting = [this] { return interactive_ > 0; }},
              entry);
    co_await fill.run();
    end.is_done = fill.is_done();
    if (fill.found_no_room()) no_room_until_ = clock_.now() + kNoRoomTime;
    if (!fill.is_done()) ++metrics_.cache_fill_failures;
    if (entry->refusal() && !entry->is_expired()) {
      if (with == verification()) {
        co_await refuse(*entry);
      } else {
        // By keys that count no more; the next who asks has it fetched for those that do.
        const std::lock_guard lock(mutex_);
        const auto known = entries_.find(entry->key());
        if (known != entries_.end() && known->second == entry) entries_.erase(known);
      }
    }
  }
  if (!co_await was_cancelled()) start_prefetches();
}

net::awaitable<void> Cache::refuse(const Entry& entry) {
  ++metrics_.cache_refusals;
  auto noted = co_await catalog_.quarantine(entry.key(), entry.refusal()->what, options_.retry_pauses);
  if (noted) {
    auto removed = co_await evictor_->remove(entry.key());
    if (!removed) noted = std::move(removed).error();
  }
  if (!noted) {
    log_.error("cache.quarantine_not_kept", {{"artifact", entry.name()}, {"error", noted.error().what}});
  }
}

void Cache::take_keys(VerifyKeys keys) {
  auto fresh = std::make_shared<const Verification>(std::move(keys));
  const bool is_lenient = fresh->is_as_lenient_as(*verification());
  {
    const std::lock_guard lock(mutex_);
    if (fresh->policy == verification_->policy) return;
    verification_ = fresh;
    std::erase_if(entries_, [&](const auto& pair) {
      if (!is_lenient) pair.second->expire();
      return !is_lenient || (pair.second->readers() == 0 && !pair.second->is_filling());
    });
  }
  log_.info("cache.keys_changed", {{"keys", fresh->keys->size()}, {"removed", !is_lenient}});
  if (chunks_ != nullptr) scope_.spawn(executor_, "cache.verify_anew", verify_anew());
}

net::awaitable<void> Cache::verify_anew() {
  const auto artifacts = co_await pool_.run([&] { return catalog_.all(); });
  if (!artifacts) {
    log_.warn("cache.not_verified_anew", {{"error", artifacts.error().what}});
    co_return;
  }
  for (const CachedArtifact& artifact : *artifacts) {
    if (co_await was_cancelled()) co_return;
    if (auto begun = co_await verify_anew(artifact); !begun) {
      log_.warn("cache.not_verified_anew", {{"artifact", artifact.name}, {"error", begun.error().what}});
    }
  }
}

net::awaitable<Status> Cache::verify_anew(const CachedArtifact& artifact) {
  // It is fetched when a device is told of it the next time.
  if (artifact.quarantine) co_return co_await catalog_.end_quarantine(artifact.key);
  if (!artifact.digest || artifact.policy == policy()) co_return Status{};
  co_return prefetch(artifact.key);
}

Status Cache::prefetch(const ArtifactKey& key) {
  POSTERN_TRY(const auto artifact, catalog_.find(key));
  if (!artifact) return not_found(fmt::format("no artifact {} is known here", to_text(key)));
  if (chunks_ == nullptr) return conflict("artifacts are not cached here");
  if (artifact->is_private) return conflict("the artifact is of one device only, and never kept");
  if (artifact->quarantine) {
    return conflict(fmt::format("the artifact is in quarantine: {}", artifact->quarantine->reason));
  }
  {
    const std::lock_guard lock(mutex_);
    if (std::ranges::find(prefetches_, key, &Prefetch::key) != prefetches_.end()) return {};
    if (prefetches_.size() >= kPrefetchesMax) {
      return exhausted(fmt::format("{} prefetches wait already", prefetches_.size()));
    }
    prefetches_.push_back({.key = key, .not_before = clock_.now()});
  }
  start_prefetches();
  return {};
}

void Cache::cancel_prefetch(const ArtifactKey& key) {
  const std::lock_guard lock(mutex_);
  std::erase_if(prefetches_, [&](const Prefetch& prefetch) { return prefetch.key == key; });
  const auto found = entries_.find(key);
  if (found == entries_.end() || !found->second->is_filling()) return;
  if (found->second->fill_class() == FillClass::background) found->second->abandon();
}

bool Cache::is_prefetch_waiting(const ArtifactKey& key) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::find(prefetches_, key, &Prefetch::key) != prefetches_.end();
}

void Cache::start_prefetches() {
  if (source_.is_closed()) return;  // whoever keeps house asks again
  for (;;) {
    ArtifactKey key{};
    {
      const std::lock_guard lock(mutex_);
      if (background_ > 0) return;  // one after the other: the line is the same for all
      const auto next = std::ranges::find_if(
          prefetches_, [&](const Prefetch& prefetch) { return prefetch.not_before <= clock_.now(); });
      if (next == prefetches_.end()) return;
      next->not_before = clock_.now() + kPrefetchPause;  // in case that it cannot begin
      key = next->key;
    }
    if (auto started = start_prefetch(key); !started) {
      log_.warn("cache.prefetch_not_begun", {{"key", to_text(key)}, {"error", started.error().what}});
      cancel_prefetch(key);
    }
  }
}

Status Cache::start_prefetch(const ArtifactKey& key) {
  POSTERN_TRY(const auto artifact, catalog_.find(key));
  if (!artifact || artifact->quarantine) return conflict("it is not to be fetched any more");
  POSTERN_TRY(const auto seat, entry_for(*artifact));
  const auto entry = seat->entry()->shared_from_this();
  if (!ensure_fill(entry, FillClass::background) && entry->is_complete()) cancel_prefetch(key);
  return {};
}

net::awaitable<Status> Cache::end_use(ArtifactKey key, bool even_if_in_use) {
  const SteadyTime give_up = clock_.now() + kAbandonMax;
  for (;;) {
    if (retire(key)) co_return Status{};
    if (!even_if_in_use) co_return conflict("the artifact is being read or filled");
    const auto entry = peek(key);
    if (entry && !entry->is_filling()) {
      // Its readers go on with what they have opened, past the cache.
      const std::lock_guard lock(mutex_);
      entries_.erase(key);
      co_return Status{};
    }
    if (entry) entry->abandon();
    if (clock_.now() >= give_up) co_return transient("a fill of the artifact does not end");
    POSTERN_CO_CHECK(co_await clock_.sleep(kAbandonStep));
  }
}

net::awaitable<Status> Cache::evict(ArtifactKey key, bool even_if_in_use) {
  POSTERN_CO_TRY(const auto artifact, catalog_.find(key));
  if (!artifact) co_return not_found(fmt::format("no artifact {} is known here", to_text(key)));
  if (chunks_ == nullptr) co_return conflict("artifacts are not cached here");
  POSTERN_CO_CHECK(co_await end_use(key, even_if_in_use));
  cancel_prefetch(key);
  POSTERN_CO_CHECK(co_await catalog_.set_pinned(key, false));
  POSTERN_CO_CHECK(co_await catalog_.end_quarantine(key));
  POSTERN_CO_TRY(const auto removed, co_await evictor_->remove(key));
  log_.info("cache.evicted", {{"artifact", artifact->name},
                              {"key", to_text(key)},
                              {"chunks", removed.chunks},
                              {"size_bytes", removed.bytes}});
  ++metrics_.cache_evictions;
  metrics_.cache_evicted_bytes += removed.bytes;
  co_return Status{};
}

Status Cache::repair(const Digest& chunk) {
  POSTERN_TRY(const auto keys, catalog_.references_of(chunk));
  for (const ArtifactKey& key : keys) {
    POSTERN_TRY(const auto artifact, catalog_.find(key));
    if (!artifact || artifact->quarantine) continue;
    POSTERN_TRY(const auto seat, entry_for(*artifact));
    const auto entry = seat->entry()->shared_from_this();
    entry->forget(chunk);
    ensure_fill(entry, FillClass::background);
  }
  return {};
}

net::awaitable<Result<ChunkStore::Removed>> Cache::collect() {
  if (!evictor_) co_return conflict("artifacts are not cached here");
  co_return co_await evictor_->collect();
}

net::awaitable<void> Cache::keep_house() {
  const auto report = [this](const Status& status) {
    if (!status) log_.warn("cache.housekeeping_failed", {{"error", status.error().what}});
  };
  if (const auto collected = co_await evictor_->collect(); !collected) {
    report(collected.error());
  } else if (collected->chunks > 0) {
    log_.info("cache.collected", {{"chunks", collected->chunks}, {"size_bytes", collected->bytes}});
  }
  report(co_await catalog_.forget_older(clock_.wall() - kForgetAfter));
  for (int round = 1; !co_await was_cancelled(); ++round) {
    if (!co_await clock_.sleep(kHouseInterval)) break;
    start_prefetches();
    if (round % kFlushEvery == 0) report(co_await catalog_.flush_used());
  }
}

}  // namespace postern::gateway
