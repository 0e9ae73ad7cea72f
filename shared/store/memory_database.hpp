// A database in memory, for tests and for simulation: what is durable survives a crash, the rest does not.
#pragma once

#include <map>
#include <optional>

#include "shared/async/completion.hpp"
#include "shared/store/database.hpp"

namespace postern {

/// What happens to a commit in place of a commit.
enum class CommitFault {
  exhausted,     ///< no room: nothing of the group is kept
  transient,     ///< the disk failed: nothing of the group is kept
  crash_before,  ///< the power fails: nothing of the group is kept, as after crash()
  crash_after,   ///< the power fails: the group is durable, but nobody is told so
};

/// Behaves like the database on disk: writes that are given to it in one turn of the executor share a commit,
/// which happens in the next turn. Stands for the disk, so it outlives what runs on it and crashes, but not
/// the executor. Runs on: one executor, that of everyone who writes.
class MemoryDatabase final : public Database {
 public:
  explicit MemoryDatabase(const std::vector<Table>& tables);
  ~MemoryDatabase() override;

  Status read(const ReadClosure& fn) override;
  net::awaitable<Status> write(WriteClosure fn) override;
  DatabaseStats stats() const override;

  /// The `nth` commit from now on goes wrong; 1 is the next one. Several can be set.
  void fail_commit(std::uint64_t nth, CommitFault fault);
  /// The power fails: what was written but is not committed is lost. Whoever still runs gets cancelled from
  /// every call, and from every write that waits, until restart().
  void crash();
  void restart();
  bool crashed() const { return crashed_; }

 private:
  struct Waiting;
  using Group = std::vector<Waiting>;
  using Rows = std::map<std::string, std::string, std::less<>>;
  using Tables = std::map<std::string, Rows, std::less<>>;

  void commit();
  void finish(Group group, const std::optional<Error>& failure);

  Tables tables_;
  Group queue_;
  std::map<std::uint64_t, CommitFault> faults_;  ///< by the number of the commit
  std::uint64_t attempts_ = 0;
  bool crashed_ = false;
  DatabaseStats stats_;

  friend class MemoryTxn;
};

/// Short for tests that only want a database.
std::unique_ptr<Database> make_memory_database(const std::vector<Table>& tables);

}  // namespace postern
