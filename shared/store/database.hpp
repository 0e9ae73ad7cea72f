// What stores are built on: tables, snapshots to read from, and writes that are durable before they resolve.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/store/kv.hpp"

namespace postern {

struct DatabaseStats {
  std::uint64_t writes = 0;   ///< closures that were committed
  std::uint64_t commits = 0;  ///< commits that they took
  std::uint64_t replays = 0;  ///< groups that ran a second time, because one of their closures failed
  std::uint64_t waiting = 0;  ///< closures that wait for their turn now
  Duration commit_time{};     ///< spent in commits, all in all
  std::uint64_t used_bytes =
      0;  ///< the file's pages that have ever been used; those that became free count too
  std::uint64_t size_bytes_max = 0;
};

/// A closure that reads. Runs where the caller runs, so it has to be short; a table that is larger than
/// memory is read on the pool, because a read may wait for the disk.
using ReadClosure = std::function<Status(const ReadTxn&)>;
/// A closure that writes. It may run several times, and on another thread than its caller's: it touches only
/// the transaction and its captures, and only assigns to those. It takes less than 20 ms; bulk work is cut
/// into slices. An error it returns undoes its changes and nothing else. An exception that leaves it is a
/// bug: logged, undone, and returned as one.
using WriteClosure = std::function<Status(WriteTxn&)>;

class Database {
 public:
  virtual ~Database() = default;

  /// Runs `fn` once on a snapshot of what has been committed. Blocking only where a page has to come from the
  /// disk. Errors: those of `fn`; exhausted, when too many reads run at once; corrupt.
  virtual Status read(const ReadClosure& fn) = 0;

  /// Runs `fn` in the next group commit and resumes with its result once that commit is durable. The caller
  /// waits as long as that takes: this, and no error, is how a slow disk pushes back. Closures run in the
  /// order in which they arrive, each seeing the changes of those before it. Not cancellable. Errors: those
  /// of `fn`; exhausted (no room left; nothing has changed); transient; corrupt.
  virtual net::awaitable<Status> write(WriteClosure fn) = 0;

  virtual DatabaseStats stats() const = 0;
};

/// Brings a database from `from` to `from + 1`. Runs when it is opened, in one transaction with every other
/// step and the new version number.
struct Migration {
  std::uint32_t from = 0;
  std::function<Status(WriteTxn&)> run;
};

struct LmdbOptions {
  std::string
      path;  ///< directory of the database; made with mode 0700 when missing, and locked while it is open
  std::uint64_t size_bytes_max =
      1ULL << 30;             ///< beyond it writes are exhausted; only address space until it is used
  std::vector<Table> tables;  ///< every table that is used; "meta" is taken
  std::uint32_t schema_version = 1;
  std::vector<Migration> migrations;   ///< one for each older version that can still be opened
  unsigned readers_max = 126;          ///< reads that may run at once
  std::size_t group_count_max = 1024;  ///< closures of one commit
  std::uint64_t group_bytes_max =
      16 << 20;  ///< keys and values of one commit, after which no closure joins it
  Duration group_time_max = std::chrono::milliseconds(2);  ///< after which no closure joins a commit
  /// A closure that takes longer is warned of: others wait behind it.
  Duration closure_time_max = std::chrono::milliseconds(20);
};

/// Opens a database of the machine, or makes one where there is none. A database that cannot be opened is
/// left as it is. Thread-safe. When the database is destroyed it first commits what waits, so the executors
/// of the callers of write() have to outlive it, and nothing may be given to it any more. Never opened across
/// a fork. Errors: conflict (in use, here or by another process); corrupt (no database, cut off, or without a
/// version); invalid (made by a newer version, or by one too old to be migrated); exhausted; transient.
Result<std::unique_ptr<Database>> open_lmdb_database(const LmdbOptions& options, Clock& clock, Log& log);

}  // namespace postern
