// Group commit: one thread that runs the write closures of everyone and commits many of them at once.
#pragma once

#include <condition_variable>
#include <deque>
#include <thread>

#include "shared/async/completion.hpp"
#include "shared/store/lmdb.hpp"

namespace postern::lmdb {

/// How a group is committed:
///
/// 1. The closures run one after the other in one transaction, as long as more are waiting and the group is
/// not too
///    large. This is all that ever happens in ordinary operation.
/// 2. When a closure fails after it has changed something, the transaction is dropped and the group runs
/// again, each
///    closure in a part of its own, so that only the changes of failed ones are undone.
/// 3. When the commit itself finds no room, each closure is tried alone: a small one may still fit.
///
/// Whoever waits is told after the commit. The queue needs no bound of its own: it has one entry for each
/// suspended caller, and a caller that waits here sends nothing further. Thread-safe.
class Writer {
 public:
  /// Reads `clock` on the writer's thread.
  Writer(Environment& environment, const LmdbOptions& options, Clock& clock, Log& log);
  /// Commits what waits, then ends.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// See Database::write.
  net::awaitable<Status> write(WriteClosure fn);
  /// The part of the statistics that the writer knows.
  DatabaseStats stats() const;

 private:
  struct Item {
    WriteClosure fn;
    Completion<Status> done;
    Status result;
  };
  using Group = std::vector<Item>;

  void run();
  /// Adds what waits to the group, one closure at a time. With `wait`, blocks until there is one, or until
  /// the end.
  bool take(Group& group, bool wait);
  void commit(Group& group);
  /// Step 1. Returns false when the group has to run again; otherwise `committed` says how the commit went.
  bool commit_together(Group& group, Status& committed);
  /// Step 2. Returns how the commit went.
  Status commit_in_parts(std::span<Item> items);
  void run_in_part(Transaction& parent, Item& item);
  Status finish(Transaction& txn);
  Status run_closure(Transaction& txn, const WriteClosure& fn);
  void report(const Status& committed, std::size_t count);

  Environment& environment_;
  const std::size_t group_count_max_;
  const std::uint64_t group_bytes_max_;
  const Duration group_time_max_;
  const Duration closure_time_max_;
  Clock& clock_;
  Log& log_;
  bool failing_ = false;  ///< the last commit failed; of the writer's thread

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Item> queue_;
  bool stopping_ = false;
  DatabaseStats stats_;

  std::thread thread_;
};

}  // namespace postern::lmdb
