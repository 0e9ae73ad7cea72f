// The artifact cache: one fetch for everyone who wants an artifact, each reader fed from where it stands.
#pragma once

#include "gateway/cache/fill.hpp"
#include "shared/async/task_scope.hpp"
#include "shared/http/range.hpp"

namespace postern::gateway {

/// Where the body of an answer comes from.
struct OpenedArtifact {
  std::unique_ptr<http::Body> body;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;
  bool is_ranged = false;
};

/// Thread-safe.
class Cache {
 public:
  /// Fills at a time; who comes then gets the artifact past the cache.
  static constexpr int kFillsMax = 8;
  /// After a refused artifact, until it is fetched again.
  static constexpr Duration kRefusalTime = std::chrono::minutes(1);
  /// After a fill that found no room; meanwhile every reader gets a stream of its own.
  static constexpr Duration kNoRoomTime = std::chrono::minutes(1);

  /// Without a chunk store nothing is kept, and every reader is given a stream of its own. Fills run on
  /// `executor`.
  Cache(Source& source, Catalog& catalog, ChunkStore* chunks, Pool& pool, Metrics& metrics, Clock& clock,
        Log& log, const net::any_io_executor& executor);
  ~Cache();

  /// Opens an artifact, whole or from a range on. The total size is known when it returns; bytes may still be
  /// on their way. Errors: not_found (no such artifact); invalid (the range cannot be satisfied); those of
  /// the source and of the verification.
  net::awaitable<Result<OpenedArtifact>> open(ArtifactKey key, std::optional<std::string> range_field);

  /// Ends all fills; what is durable stays, and readers who wait are told. Runs on: the executor.
  net::awaitable<Status> stop();

 private:
  net::awaitable<Result<OpenedArtifact>> pass_through(ArtifactKey key,
                                                      std::optional<std::string> range_field);
  net::awaitable<Result<std::uint64_t>> size_of(std::shared_ptr<Entry> entry);
  Result<std::shared_ptr<Entry>> entry_for(const CachedArtifact& artifact);
  /// Starts a fill unless one runs, none is needed, or there are too many.
  void ensure_fill(const std::shared_ptr<Entry>& entry);
  net::awaitable<void> run_fill(std::shared_ptr<Entry> entry);

  Source& source_;
  Catalog& catalog_;
  ChunkStore* chunks_;
  Pool& pool_;
  Metrics& metrics_;
  Clock& clock_;
  Log& log_;
  const net::any_io_executor executor_;
  std::atomic<int> fills_ = 0;
  std::atomic<SteadyTime> no_room_until_ = SteadyTime::min();
  TaskScope scope_;

  std::mutex mutex_;
  std::map<ArtifactKey, std::shared_ptr<Entry>> entries_;
  std::map<ArtifactKey, SteadyTime> refused_until_;
};

}  // namespace postern::gateway
