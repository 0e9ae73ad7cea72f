#include "shared/store/memory_database.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "shared/base/check.hpp"
#include "shared/store/kv_internal.hpp"

namespace postern {

struct MemoryDatabase::Waiting {
  WriteClosure fn;
  Completion<Status> done;
  Status result;
};

/// Writes in place, and remembers how to undo it.
class MemoryTxn final : public WriteTxn {
 public:
  explicit MemoryTxn(MemoryDatabase& database) : database_(database) {}

  Result<std::optional<Bytes>> get(Table table, Bytes key) const override {
    POSTERN_CHECK(kv::check_key(table, key));
    POSTERN_TRY(const MemoryDatabase::Rows* const rows, find(table));
    const auto found = rows->find(as_text(key));
    if (found == rows->end()) return std::nullopt;
    return as_bytes(found->second);
  }

  Status scan(Table table, Bytes prefix, Bytes from, Direction direction, const Visit& visit) const override {
    POSTERN_TRY(const MemoryDatabase::Rows* const rows, find(table));
    const kv::ScanGuard guard(scans_);
    const kv::ScanStart start = kv::scan_start(prefix, from, direction);
    const std::string_view key = as_text(start.key);
    const auto step = [&](const auto& row) -> Result<bool> {
      if (!kv::has_prefix(as_bytes(row.first), prefix)) return false;
      return visit(as_bytes(row.first), as_bytes(row.second));
    };
    if (direction == Direction::ascending) return walk(rows->lower_bound(key), rows->end(), step);
    const auto end = key.empty()       ? rows->end()
                     : start.inclusive ? rows->upper_bound(key)
                                       : rows->lower_bound(key);
    return walk(std::make_reverse_iterator(end), rows->rend(), step);
  }

  Result<std::uint64_t> count(Table table) const override {
    POSTERN_TRY(const MemoryDatabase::Rows* const rows, find(table));
    return rows->size();
  }

  Status put(Table table, Bytes key, Bytes value) override {
    POSTERN_ASSERT(scans_ == 0);
    POSTERN_CHECK(kv::check_row(table, key, value));
    POSTERN_TRY(MemoryDatabase::Rows* const rows, find(table));
    remember(*rows, as_text(key));
    rows->insert_or_assign(std::string(as_text(key)), std::string(as_text(value)));
    return {};
  }

  Status del(Table table, Bytes key) override {
    POSTERN_ASSERT(scans_ == 0);
    POSTERN_CHECK(kv::check_key(table, key));
    POSTERN_TRY(MemoryDatabase::Rows* const rows, find(table));
    remember(*rows, as_text(key));
    rows->erase(std::string(as_text(key)));
    return {};
  }

  std::size_t changes() const { return undo_.size(); }

  /// Undoes all but the first `kept` changes.
  void undo(std::size_t kept) {
    for (; undo_.size() > kept; undo_.pop_back()) {
      auto& [rows, key, value] = undo_.back();
      if (value) {
        rows->insert_or_assign(key, *value);
      } else {
        rows->erase(key);
      }
    }
  }

 private:
  struct Undo {
    MemoryDatabase::Rows* rows;
    std::string key;
    std::optional<std::string> value;
  };

  Result<MemoryDatabase::Rows*> find(Table table) const {
    const auto found = database_.tables_.find(table.name);
    if (found == database_.tables_.end()) return kv::unknown_table(table);
    return &found->second;
  }

  template <class Iterator, class Step>
  static Status walk(Iterator at, const Iterator& end, const Step& step) {
    for (; at != end; ++at) {
      POSTERN_TRY(const bool go_on, step(*at));
      if (!go_on) break;
    }
    return {};
  }

  void remember(MemoryDatabase::Rows& rows, std::string_view key) {
    const auto found = rows.find(key);
    undo_.push_back({&rows, std::string(key), std::nullopt});
    if (found != rows.end()) undo_.back().value = found->second;
  }

  MemoryDatabase& database_;
  std::vector<Undo> undo_;
  mutable int scans_ = 0;
};

namespace {

Error crashed_error() {
  return cancelled("the database has crashed");
}

Status run_closure(MemoryTxn& txn, const WriteClosure& fn) {
  const std::size_t before = txn.changes();
  Status result;
  try {
    result = fn(txn);
  } catch (const std::exception& exception) {
    result = bug(fmt::format("a write closure threw: {}", exception.what()));
  }
  if (!result) txn.undo(before);
  return result;
}

}  // namespace

MemoryDatabase::MemoryDatabase(const std::vector<Table>& tables) {
  for (const Table table : tables) tables_.emplace(table.name, Rows());
}

MemoryDatabase::~MemoryDatabase() = default;

Status MemoryDatabase::read(const ReadClosure& fn) {
  if (crashed_) return crashed_error();
  return fn(MemoryTxn(*this));
}

net::awaitable<Status> MemoryDatabase::write(WriteClosure fn) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  if (crashed_) co_return crashed_error();
  auto enqueue = [this, &fn, &executor](Completion<Status> done) {
    queue_.push_back({std::move(fn), std::move(done), {}});
    if (queue_.size() == 1) net::post(executor, [this] { commit(); });
  };
  co_return co_await suspend<Status>(std::move(enqueue));
}

DatabaseStats MemoryDatabase::stats() const {
  DatabaseStats stats = stats_;
  stats.waiting = queue_.size();
  return stats;
}

void MemoryDatabase::fail_commit(std::uint64_t nth, CommitFault fault) {
  POSTERN_ASSERT(nth > 0);
  faults_.insert_or_assign(attempts_ + nth, fault);
}

void MemoryDatabase::crash() {
  crashed_ = true;
  finish(std::exchange(queue_, {}), crashed_error());
}

void MemoryDatabase::restart() {
  crashed_ = false;
}

void MemoryDatabase::commit() {
  Group group = std::exchange(queue_, {});
  MemoryTxn txn(*this);
  for (Waiting& waiting : group) waiting.result = run_closure(txn, waiting.fn);
  if (txn.changes() == 0) return finish(std::move(group), std::nullopt);

  const auto fault = faults_.extract(++attempts_);
  if (fault.empty()) {
    ++stats_.commits;
    return finish(std::move(group), std::nullopt);
  }
  if (fault.mapped() != CommitFault::crash_after) txn.undo(0);
  switch (fault.mapped()) {
    case CommitFault::exhausted:
      return finish(std::move(group), exhausted("commit: no space left"));
    case CommitFault::transient:
      return finish(std::move(group), transient("commit: the disk failed"));
    case CommitFault::crash_before:
    case CommitFault::crash_after:
      finish(std::move(group), crashed_error());
      return crash();
  }
}

void MemoryDatabase::finish(Group group, const std::optional<Error>& failure) {
  for (Waiting& waiting : group) {
    if (failure) waiting.result = *failure;
    if (waiting.result) ++stats_.writes;
    waiting.done(std::move(waiting.result));
  }
}

std::unique_ptr<Database> make_memory_database(const std::vector<Table>& tables) {
  return std::make_unique<MemoryDatabase>(tables);
}

}  // namespace postern
