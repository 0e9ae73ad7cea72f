// LMDB, wrapped: an environment that is opened safely, snapshots, and write transactions that undo
// themselves. Used by the writer and the database of this folder; everyone else works with database.hpp.
#pragma once

#include <map>
#include <mutex>

#include "shared/store/database.hpp"

struct MDB_env;
struct MDB_txn;

namespace postern::lmdb {

/// What a return code of LMDB means: corrupt for a broken or foreign file, exhausted for a full map, disk or
/// reader table, bug for wrong use, else as from_errno.
Error to_error(int code, std::string_view context);

/// An open environment. Thread-safe, except that write transactions follow one after the other.
class Environment {
 public:
  /// See open_lmdb_database.
  static Result<std::unique_ptr<Environment>> open(const LmdbOptions& options, Log& log);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  Status read(const ReadClosure& fn);

  std::uint64_t used_bytes() const;
  std::uint64_t size_bytes_max() const;
  MDB_env* handle() const { return env_.get(); }
  /// Errors: bug.
  Result<unsigned> find(Table table) const;

 private:
  struct Close {
    void operator()(MDB_env* env) const;
  };
  struct Reader;

  explicit Environment(int directory) : directory_(directory) {}
  Status open_file(const std::string& path, const LmdbOptions& options);
  Status make(const LmdbOptions& options);
  Status cover_all_pages(Log& log) const;
  Status prepare(const LmdbOptions& options, bool is_new, Log& log);
  Status open_tables(MDB_txn* txn, const LmdbOptions& options);
  Result<MDB_txn*> take_reader();

  const int directory_;  ///< descriptor that holds the lock; -1: this one holds none
  std::map<std::string, unsigned, std::less<>> tables_;
  std::mutex mutex_;
  std::vector<MDB_txn*> idle_readers_;  ///< each keeps its slot in the reader table
  std::unique_ptr<MDB_env, Close> env_;
};

/// Reading, for both kinds of transaction.
class View {
 public:
  View(const Environment& environment, MDB_txn* txn) : environment_(environment), txn_(txn) {}

  Result<std::optional<Bytes>> get(Table table, Bytes key) const;
  Status scan(Table table, Bytes prefix, Bytes from, Direction direction, const Visit& visit) const;
  Result<std::uint64_t> count(Table table) const;
  bool scanning() const { return scans_ > 0; }

 private:
  const Environment& environment_;
  MDB_txn* txn_;
  mutable int scans_ = 0;
};

/// Undone when it is destroyed without a commit. Begins, works and ends on one thread.
class Transaction final : public WriteTxn {
 public:
  /// With a parent: a part of it that can be undone alone. Until it ends the parent is not to be used.
  static Result<std::unique_ptr<Transaction>> begin(const Environment& environment,
                                                    Transaction* parent = nullptr);
  ~Transaction() override;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  Result<std::optional<Bytes>> get(Table table, Bytes key) const override { return view_.get(table, key); }
  Status scan(Table table, Bytes prefix, Bytes from, Direction direction, const Visit& visit) const override {
    return view_.scan(table, prefix, from, direction, visit);
  }
  Result<std::uint64_t> count(Table table) const override { return view_.count(table); }
  Status put(Table table, Bytes key, Bytes value) override;
  Status del(Table table, Bytes key) override;

  /// Durable when it returns, unless there is a parent. The transaction is over either way.
  Status commit();

  MDB_txn* handle() const { return txn_; }
  /// How many changes were tried.
  std::uint64_t changes() const { return changes_; }
  /// Size of the keys and values put.
  std::uint64_t bytes() const { return bytes_; }
  /// Why this can no longer be committed, if so.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  Transaction(const Environment& environment, MDB_txn* txn, Transaction* parent)
      : environment_(environment), txn_(txn), parent_(parent), view_(environment, txn) {}
  Status note(int code, Table table);

  const Environment& environment_;
  MDB_txn* txn_;
  Transaction* parent_;
  View view_;
  std::uint64_t changes_ = 0;
  std::uint64_t bytes_ = 0;
  std::optional<Error> failure_;
};

}  // namespace postern::lmdb
