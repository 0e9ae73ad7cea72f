#include "shared/store/writer.hpp"

#include "shared/base/check.hpp"
#include "shared/base/fault_point.hpp"

namespace postern::lmdb {
namespace {

std::int64_t in_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

Writer::Writer(Environment& environment, const LmdbOptions& options, Clock& clock, Log& log)
    : environment_(environment),
      group_count_max_(options.group_count_max),
      group_bytes_max_(options.group_bytes_max),
      group_time_max_(options.group_time_max),
      closure_time_max_(options.closure_time_max),
      clock_(clock),
      log_(log),
      thread_([this] { run(); }) {}

Writer::~Writer() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_one();
  thread_.join();
}

net::awaitable<Status> Writer::write(WriteClosure fn) {
  auto enqueue = [this, &fn](Completion<Status> done) {
    {
      const std::scoped_lock lock(mutex_);
      POSTERN_ASSERT(!stopping_);
      queue_.push_back({std::move(fn), std::move(done), {}});
    }
    arrived_.notify_one();
  };
  co_return co_await suspend<Status>(std::move(enqueue));
}

DatabaseStats Writer::stats() const {
  const std::scoped_lock lock(mutex_);
  DatabaseStats stats = stats_;
  stats.waiting = queue_.size();
  return stats;
}

void Writer::run() {
  for (Group group; take(group, true); group.clear()) commit(group);
}

bool Writer::take(Group& group, bool wait) {
  std::unique_lock lock(mutex_);
  if (wait) arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  if (queue_.empty()) return false;
  group.push_back(std::move(queue_.front()));
  queue_.pop_front();
  return true;
}

void Writer::commit(Group& group) {
  Status committed;
  if (!commit_together(group, committed)) {
    {
      const std::scoped_lock lock(mutex_);
      ++stats_.replays;
    }
    committed = commit_in_parts(group);
  }
  if (!committed && committed.error().kind == Kind::exhausted && group.size() > 1) {
    for (Item& item : group) {
      const Status alone = commit_in_parts(std::span(&item, 1));
      report(alone, 1);
      if (!alone) item.result = alone;
    }
  } else {
    report(committed, group.size());
    // Errors of closures too are no longer true: they may come from changes that are gone.
    if (!committed) {
      for (Item& item : group) item.result = committed;
    }
  }
  {
    const std::scoped_lock lock(mutex_);
    stats_.writes += static_cast<std::uint64_t>(
        std::ranges::count_if(group, [](const Item& item) { return item.result.has_value(); }));
  }
  for (Item& item : group) {
    item.fn = nullptr;  // what it holds belongs to its caller's thread, which goes on now
    item.done(std::move(item.result));
  }
}

bool Writer::commit_together(Group& group, Status& committed) {
  auto txn = Transaction::begin(environment_);
  if (!txn) {
    committed = std::move(txn).error();
    return true;
  }
  const SteadyTime end = clock_.now() + group_time_max_;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const std::uint64_t changes = (*txn)->changes();
    group[i].result = run_closure(**txn, group[i].fn);
    if (!group[i].result && (*txn)->changes() != changes) {
      if (group.size() > 1) return false;
      return true;  // dropped with the transaction
    }
    const bool full =
        group.size() >= group_count_max_ || (*txn)->bytes() >= group_bytes_max_ || clock_.now() >= end;
    if (!full && i + 1 == group.size()) take(group, false);
  }
  committed = finish(**txn);
  return true;
}

Status Writer::commit_in_parts(std::span<Item> items) {
  POSTERN_TRY(const auto txn, Transaction::begin(environment_));
  for (Item& item : items) run_in_part(*txn, item);
  return finish(*txn);
}

void Writer::run_in_part(Transaction& parent, Item& item) {
  const auto part = Transaction::begin(environment_, &parent);
  if (!part) {
    item.result = part.error();
    return;
  }
  item.result = run_closure(**part, item.fn);
  if (item.result) item.result = (*part)->commit();
}

Status Writer::finish(Transaction& txn) {
  if (txn.changes() == 0) return {};
  const SteadyTime start = clock_.now();
  POSTERN_FAULT_POINT("writer.before_commit");
  POSTERN_CHECK(txn.commit());
  POSTERN_FAULT_POINT("writer.after_commit");
  const std::scoped_lock lock(mutex_);
  ++stats_.commits;
  stats_.commit_time += clock_.now() - start;
  return {};
}

Status Writer::run_closure(Transaction& txn, const WriteClosure& fn) {
  const SteadyTime start = clock_.now();
  Status result;
  try {
    result = fn(txn);
  } catch (const std::exception& exception) {
    log_.error("writer.closure_threw", {{"kind", "bug"}, {"error", exception.what()}});
    result = bug(fmt::format("a write closure threw: {}", exception.what()));
  }
  // A closure that went on after a failed write must not take the others with it.
  if (const std::optional<Error>& failure = txn.failure(); result && failure) result = *failure;
  const Duration took = clock_.now() - start;
  if (took > closure_time_max_) log_.warn("writer.closure_was_slow", {{"took_ms", in_ms(took)}});
  return result;
}

/// Logs the first failure of a row, and its end.
void Writer::report(const Status& committed, std::size_t count) {
  if (!committed && !failing_) {
    log_.error(
        "writer.commit_failed",
        {{"kind", to_string(committed.error().kind)}, {"error", committed.error().what}, {"writes", count}});
  } else if (committed && failing_) {
    log_.info("writer.commits_resumed");
  }
  failing_ = !committed;
}

}  // namespace postern::lmdb
