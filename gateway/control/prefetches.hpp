// Artifacts that are to be here before a device asks: now, at a time, or every day at one.
#pragma once

#include <functional>

#include "gateway/cache/keeper.hpp"
#include "shared/async/event.hpp"
#include "shared/async/task_scope.hpp"

namespace postern::gateway {

enum class PrefetchState : unsigned char {
  scheduled,  ///< its time will come
  fetching,   ///< its artifacts are on their way
  retrying,   ///< it failed, and is tried again when `next` comes
  done,
  failed,  ///< it was tried often enough
};

std::string_view to_string(PrefetchState state);

struct Prefetch {
  std::uint64_t id = 0;
  std::string what;               ///< name of an artifact, or a URL
  std::optional<unsigned> daily;  ///< minute of the day at which it comes back
  PrefetchState state = PrefetchState::scheduled;
  WallTime next;                  ///< when it is its turn, unless it is done or failed
  std::optional<WallTime> last;   ///< when it was begun last
  unsigned attempts = 0;          ///< of this turn
  std::string error;              ///< of the last attempt that failed
  std::vector<ArtifactKey> keys;  ///< what is meant, once that is known
};

/// What prefetching needs of others.
struct PrefetchActions {
  std::function<net::awaitable<Result<std::vector<CachedArtifact>>>(std::string what)> resolve;
  std::function<net::awaitable<Status>(ArtifactKey key)> start;
  std::function<void(const ArtifactKey& key)> cancel;
  std::function<Result<std::vector<KeptArtifact>>()> list;
};

/// Kept in the state, so that a restart forgets none: what was due meanwhile, or was under way, is begun when
/// the gateway runs again. Runs on: one executor.
class Prefetches {
 public:
  static constexpr std::size_t kPrefetchesMax = 1000;
  static constexpr std::size_t kFinishedMax = 100;  ///< of them that are over: the newest are kept
  static constexpr unsigned kAttemptsMax = 5;
  static constexpr Duration kLookInterval = std::chrono::seconds(2);

  Prefetches(Database& database, PrefetchActions actions, Clock& clock, Log& log,
             const net::any_io_executor& executor);

  /// Reads what is stored. Call it once, before anything else. Errors: corrupt.
  Status load();
  /// Starts to work.
  void start();
  net::awaitable<Status> stop();

  /// Durable when it returns. With `daily` the time follows from it. Errors: invalid (an empty text);
  /// exhausted (too many); those of the database.
  net::awaitable<Result<Prefetch>> add(std::string what, WallTime at, std::optional<unsigned> daily);
  /// Ends it, and forgets it; what it has brought stays. Errors: not_found.
  net::awaitable<Status> cancel(std::uint64_t id);
  /// Oldest first.
  std::vector<Prefetch> list() const;
  std::optional<Prefetch> find(std::uint64_t id) const;

 private:
  net::awaitable<void> work();
  /// A clock that was ahead and is set right makes nothing wait until it is there again.
  net::awaitable<void> follow_clock();
  net::awaitable<void> begin(std::uint64_t id);
  net::awaitable<Status> fetch(std::uint64_t id);
  /// Looks how far those are that are under way.
  net::awaitable<void> look();
  net::awaitable<void> succeed(std::uint64_t id);
  net::awaitable<void> fail(std::uint64_t id, const Error& error);
  net::awaitable<Status> store(std::uint64_t id);
  net::awaitable<void> store_or_warn(std::uint64_t id);
  net::awaitable<void> forget_old();
  Duration until_next() const;
  Prefetch* known(std::uint64_t id);

  Database& database_;
  const PrefetchActions actions_;
  Clock& clock_;
  Log& log_;
  const net::any_io_executor executor_;
  std::map<std::uint64_t, Prefetch> prefetches_;
  std::uint64_t next_id_ = 1;
  Notifier changed_;
  TaskScope scope_;
};

}  // namespace postern::gateway
