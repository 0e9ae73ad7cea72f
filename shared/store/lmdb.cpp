#include "shared/store/lmdb.hpp"

#include <lmdb.h>

#include <cerrno>

#include "shared/base/check.hpp"
#include "shared/store/kv_internal.hpp"

namespace postern::lmdb {
namespace {

MDB_val to_val(Bytes bytes) {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};  // LMDB does not write through its arguments
}

Bytes from_val(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};

/// Moves the cursor to where the scan begins; as mdb_cursor_get.
int seek(MDB_cursor* cursor, const kv::ScanStart& start, Direction direction, MDB_val& key, MDB_val& value) {
  const bool ascending = direction == Direction::ascending;
  if (start.key.empty()) return mdb_cursor_get(cursor, &key, &value, ascending ? MDB_FIRST : MDB_LAST);
  key = to_val(start.key);
  const int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  if (ascending) return code;
  if (code == MDB_NOTFOUND) return mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  if (code != 0 || (start.inclusive && std::ranges::equal(from_val(key), start.key))) return code;
  return mdb_cursor_get(cursor, &key, &value, MDB_PREV);
}

class Snapshot final : public ReadTxn {
 public:
  Snapshot(const Environment& environment, MDB_txn* txn) : view_(environment, txn) {}
  Result<std::optional<Bytes>> get(Table table, Bytes key) const override { return view_.get(table, key); }
  Status scan(Table table, Bytes prefix, Bytes from, Direction direction, const Visit& visit) const override {
    return view_.scan(table, prefix, from, direction, visit);
  }
  Result<std::uint64_t> count(Table table) const override { return view_.count(table); }

 private:
  View view_;
};

}  // namespace

Error to_error(int code, std::string_view context) {
  std::string what = fmt::format("{}: {}", context, mdb_strerror(code));
  switch (code) {
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_PANIC:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
      return corrupt(std::move(what));
    case MDB_MAP_FULL:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case MDB_PAGE_FULL:
      return exhausted(std::move(what));
    default:
      return code > 0 ? from_errno(code, context) : bug(std::move(what));
  }
}

/// Gives a reader back when the read is over, also by an exception.
struct Environment::Reader {
  ~Reader() {
    mdb_txn_reset(txn);
    const std::scoped_lock lock(environment.mutex_);
    environment.idle_readers_.push_back(txn);
  }
  Environment& environment;
  MDB_txn* txn;
};

Status Environment::read(const ReadClosure& fn) {
  POSTERN_TRY(MDB_txn* const txn, take_reader());
  const Reader reader{*this, txn};
  return fn(Snapshot(*this, txn));
}

Result<MDB_txn*> Environment::take_reader() {
  MDB_txn* txn = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    if (!idle_readers_.empty()) {
      txn = idle_readers_.back();
      idle_readers_.pop_back();
    }
  }
  if (txn == nullptr) {
    const int code = mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &txn);
    if (code != 0) return to_error(code, "begin a read");
    return txn;
  }
  const int code = mdb_txn_renew(txn);
  if (code == 0) return txn;
  mdb_txn_abort(txn);
  return to_error(code, "begin a read");
}

Result<std::optional<Bytes>> View::get(Table table, Bytes key) const {
  POSTERN_CHECK(kv::check_key(table, key));
  POSTERN_TRY(const unsigned dbi, environment_.find(table));
  MDB_val wanted = to_val(key);
  MDB_val value{};
  const int code = mdb_get(txn_, dbi, &wanted, &value);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != 0) return to_error(code, fmt::format("read table {}", table.name));
  return from_val(value);
}

Status View::scan(Table table, Bytes prefix, Bytes from, Direction direction, const Visit& visit) const {
  POSTERN_TRY(const unsigned dbi, environment_.find(table));
  MDB_cursor* raw = nullptr;
  int code = mdb_cursor_open(txn_, dbi, &raw);
  if (code != 0) return to_error(code, fmt::format("scan table {}", table.name));
  const std::unique_ptr<MDB_cursor, CloseCursor> cursor(raw);
  const kv::ScanGuard guard(scans_);

  MDB_val key{};
  MDB_val value{};
  const MDB_cursor_op next = direction == Direction::ascending ? MDB_NEXT : MDB_PREV;
  code = seek(raw, kv::scan_start(prefix, from, direction), direction, key, value);
  while (code == 0 && kv::has_prefix(from_val(key), prefix)) {
    POSTERN_TRY(const bool go_on, visit(from_val(key), from_val(value)));
    if (!go_on) return {};
    code = mdb_cursor_get(raw, &key, &value, next);
  }
  if (code != 0 && code != MDB_NOTFOUND) return to_error(code, fmt::format("scan table {}", table.name));
  return {};
}

Result<std::uint64_t> View::count(Table table) const {
  POSTERN_TRY(const unsigned dbi, environment_.find(table));
  MDB_stat stat{};
  const int code = mdb_stat(txn_, dbi, &stat);
  if (code != 0) return to_error(code, fmt::format("count table {}", table.name));
  return stat.ms_entries;
}

Result<std::unique_ptr<Transaction>> Transaction::begin(const Environment& environment, Transaction* parent) {
  MDB_txn* txn = nullptr;
  const int code = mdb_txn_begin(environment.handle(), parent != nullptr ? parent->txn_ : nullptr, 0, &txn);
  if (code != 0) return to_error(code, "begin a write");
  return std::unique_ptr<Transaction>(new Transaction(environment, txn, parent));
}

Transaction::~Transaction() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

Status Transaction::put(Table table, Bytes key, Bytes value) {
  POSTERN_ASSERT(!view_.scanning());
  POSTERN_CHECK(kv::check_row(table, key, value));
  POSTERN_TRY(const unsigned dbi, environment_.find(table));
  MDB_val key_val = to_val(key);
  MDB_val value_val = to_val(value);
  ++changes_;
  bytes_ += key.size() + value.size();
  return note(mdb_put(txn_, dbi, &key_val, &value_val, 0), table);
}

Status Transaction::del(Table table, Bytes key) {
  POSTERN_ASSERT(!view_.scanning());
  POSTERN_CHECK(kv::check_key(table, key));
  POSTERN_TRY(const unsigned dbi, environment_.find(table));
  MDB_val key_val = to_val(key);
  ++changes_;
  const int code = mdb_del(txn_, dbi, &key_val, nullptr);
  return note(code == MDB_NOTFOUND ? 0 : code, table);
}

Status Transaction::note(int code, Table table) {
  if (code == 0) return {};
  Error error = to_error(code, fmt::format("write table {}", table.name));
  if (!failure_) failure_ = error;
  return error;
}

Status Transaction::commit() {
  if (failure_) return *failure_;
  const int code = mdb_txn_commit(std::exchange(txn_, nullptr));
  if (code != 0) return to_error(code, "commit");
  if (parent_ != nullptr) {
    parent_->changes_ += changes_;
    parent_->bytes_ += bytes_;
  }
  return {};
}

}  // namespace postern::lmdb
