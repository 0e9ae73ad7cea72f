// The artifact cache: one fetch for everyone who wants an artifact, each reader fed from where it stands.
#pragma once

#include <deque>

#include "gateway/cache/fill.hpp"
#include "gateway/cache/scrubber.hpp"
#include "shared/async/task_scope.hpp"
#include "shared/http/range.hpp"

namespace postern::gateway {

/// Where the body of an answer comes from.
struct OpenedArtifact {
  std::unique_ptr<http::Body> body;
  /// How many bytes of the body came through the cache until now; those behind come past it, fetched for this
  /// reader alone. Null: all of them do.
  std::shared_ptr<const std::uint64_t> cache_bytes;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  bool is_ranged = false;
};

struct CacheOptions {
  /// Nobody gets a byte of an artifact before all of it was verified.
  bool is_verified_only = false;
  /// With keys, an artifact has to be signed by one of them. They may change: see take_keys().
  VerifyKeys keys = std::make_shared<const std::vector<PublicKey>>();
  /// So many of the newest artifacts of each group are never evicted to make room.
  unsigned keep_last = 0;
  /// For one round over all chunks; zero: no scrubbing.
  Duration scrub_interval = std::chrono::days(7);
  /// After each refusal of an artifact, until it is fetched again. After one more it takes an operator, or
  /// something new from the upstream.
  std::vector<Duration> retry_pauses = {std::chrono::minutes(1), std::chrono::minutes(5),
                                        std::chrono::minutes(25)};
};

/// Thread-safe.
class Cache {
 public:
  /// Fills at a time that somebody waits for; who comes then gets the artifact past the cache.
  static constexpr int kFillsMax = 8;
  static constexpr std::size_t kPrefetchesMax = 1000;
  static constexpr int kPrefetchTriesMax = 10;
  /// After a fill that found no room; meanwhile every reader gets a stream of its own.
  static constexpr Duration kNoRoomTime = std::chrono::minutes(1);

  /// Without a chunk store nothing is kept, and every reader is given a stream of its own. Fills run on
  /// `executor`.
  Cache(Source& source, Catalog& catalog, ChunkStore* chunks, Pool& pool, Metrics& metrics, Clock& clock,
        Log& log, const net::any_io_executor& executor, CacheOptions options);
  ~Cache();

  /// Cleans up after an unclean end, and begins to scrub and to keep house.
  void start();
  /// Ends all fills; what is durable stays, and readers who wait are told. Runs on: the executor.
  net::awaitable<Status> stop();

  /// Opens an artifact, whole or from a range on. The total size is known when it returns; bytes may still be
  /// on their way. Errors: not_found (no such artifact); invalid (the range cannot be satisfied); corrupt (it
  /// is in quarantine); transient (it is not verified yet, and has to be); those of the source.
  net::awaitable<Result<OpenedArtifact>> open(ArtifactKey key, std::optional<std::string> range_field);

  /// A device is about to be told to fetch this. False when it would get nothing now (decision 5): then what
  /// is needed for it has been begun, as far as it may be. Errors: those of the catalog.
  Result<bool> want(const ArtifactKey& key);

  /// From now on these keys count. What was verified with others is verified again from what is stored,
  /// before the end of it is given out; what was refused may be fetched again. When a key is gone, downloads
  /// and fills under way end, and their devices come again.
  void take_keys(VerifyKeys keys);

  // --- for the keeper

  /// Starts a fill that nobody waits for, after all that somebody waits for. Errors: not_found; conflict, in
  /// quarantine or private; exhausted, when too many wait already.
  Status prefetch(const ArtifactKey& key);
  /// Ends it, unless somebody waits for it by now.
  void cancel_prefetch(const ArtifactKey& key);
  bool is_prefetch_waiting(const ArtifactKey& key) const;
  /// Removes all that is here of an artifact, with its pin and its quarantine. Errors: not_found; conflict,
  /// while it is in use, unless `even_if_in_use`.
  net::awaitable<Status> evict(ArtifactKey key, bool even_if_in_use);
  /// What is known of an artifact that is in use, or was lately.
  std::shared_ptr<Entry> peek(const ArtifactKey& key) const;
  /// A chunk turned out to be rotten or gone: whoever needs it fetches it again.
  Status repair(const Digest& chunk);
  net::awaitable<Result<ChunkStore::Removed>> collect();
  /// The name of verification with the keys that count now.
  std::string policy() const { return verification()->policy; }

 private:
  struct Prefetch {
    ArtifactKey key;
    SteadyTime not_before;
    int tries = 0;
  };
  using SeatPtr = std::shared_ptr<Entry::Seat>;

  net::awaitable<Result<OpenedArtifact>> pass_through(ArtifactKey key,
                                                      std::optional<std::string> range_field);
  /// The same for an artifact that is not kept and has to be verified first.
  net::awaitable<Result<OpenedArtifact>> pass_verified(ArtifactKey key,
                                                       std::optional<std::string> range_field);
  net::awaitable<Result<OpenedArtifact>> open_entry(SeatPtr seat, std::optional<std::string> range_field);
  net::awaitable<Result<std::uint64_t>> size_of(SeatPtr seat);
  void count_opening(const Entry& entry);
  Result<SeatPtr> entry_for(const CachedArtifact& artifact);
  /// Of an artifact in quarantine: begins to fetch it again when it is time.
  Status retry(const CachedArtifact& artifact);

  /// Starts a fill unless none is needed, or there are too many; makes one that runs a more urgent one.
  /// Whether one runs.
  bool ensure_fill(const std::shared_ptr<Entry>& entry, FillClass fill_class);
  net::awaitable<void> run_fill(std::shared_ptr<Entry> entry);
  net::awaitable<void> refuse(const Entry& entry);
  std::shared_ptr<const Verification> verification() const;
  net::awaitable<void> verify_anew();
  net::awaitable<Status> verify_anew(const CachedArtifact& artifact);
  void end_fill(Entry& entry, bool is_done);
  /// Of a prefetch whose fill has ended: it is over, or tried again later.
  void settle_prefetch(const Entry& entry, bool is_done);
  void start_prefetches();
  Status start_prefetch(const ArtifactKey& key);
  bool is_busy(const ArtifactKey& key) const;
  bool retire(const ArtifactKey& key);
  net::awaitable<Status> end_use(ArtifactKey key, bool even_if_in_use);
  net::awaitable<void> keep_house();
  void add_metrics();

  Source& source_;
  Catalog& catalog_;
  ChunkStore* chunks_;
  Pool& pool_;
  Metrics& metrics_;
  Clock& clock_;
  Log& log_;
  const net::any_io_executor executor_;
  const CacheOptions options_;
  std::unique_ptr<Evictor> evictor_;    ///< null without a chunk store
  std::unique_ptr<Scrubber> scrubber_;  ///< likewise
  std::atomic<SteadyTime> no_room_until_ = SteadyTime::min();
  std::atomic<int> interactive_ = 0;  ///< fills that somebody waits for; changed under the lock
  std::atomic<int> background_ = 0;   ///< the others
  TaskScope scope_;

  mutable std::mutex mutex_;
  std::shared_ptr<const Verification> verification_;
  std::map<ArtifactKey, std::shared_ptr<Entry>> entries_;
  std::deque<Prefetch> prefetches_;
};

}  // namespace postern::gateway
