#include "gateway/control/prefetches.hpp"

#include "gateway/control/schedule.hpp"
#include "gateway/store/tables.hpp"
#include "shared/async/within.hpp"
#include "shared/proto/gateway.pb.h"
#include "shared/store/record.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kWhatBytesMax = 4096;
/// The wall clock may be set at any moment, so that it is looked at this often at least.
constexpr Duration kSleepMax = std::chrono::minutes(1);
constexpr std::array kPauses{std::chrono::minutes(1), std::chrono::minutes(5), std::chrono::minutes(25),
                             std::chrono::minutes(60)};

bool is_over(const Prefetch& prefetch) {
  return prefetch.state == PrefetchState::done || prefetch.state == PrefetchState::failed;
}

KeyBuilder row_of(std::uint64_t id) {
  return KeyBuilder().u64(id);
}

gateway_record::Prefetch to_record(const Prefetch& prefetch) {
  gateway_record::Prefetch record;
  record.set_what(prefetch.what);
  record.set_daily(prefetch.daily ? *prefetch.daily + 1 : 0);
  record.set_state(static_cast<std::uint32_t>(prefetch.state));
  record.set_next_ms(prefetch.next.time_since_epoch().count());
  record.set_last_ms(prefetch.last ? prefetch.last->time_since_epoch().count() : 0);
  record.set_attempts(prefetch.attempts);
  record.set_error(prefetch.error);
  for (const ArtifactKey& key : prefetch.keys) record.add_keys(std::string(as_text(key)));
  return record;
}

Result<Prefetch> from_record(std::uint64_t id, const gateway_record::Prefetch& record) {
  Prefetch prefetch{.id = id, .what = record.what()};
  if (record.daily() > 0) prefetch.daily = record.daily() - 1;
  if (record.state() > static_cast<std::uint32_t>(PrefetchState::failed)) {
    return corrupt(fmt::format("prefetch {} cannot be read", id));
  }
  prefetch.state = static_cast<PrefetchState>(record.state());
  prefetch.next = WallTime(std::chrono::milliseconds(record.next_ms()));
  if (record.last_ms() != 0) prefetch.last = WallTime(std::chrono::milliseconds(record.last_ms()));
  prefetch.attempts = record.attempts();
  prefetch.error = record.error();
  for (const std::string& text : record.keys()) {
    if (text.size() != sizeof(ArtifactKey)) return corrupt(fmt::format("prefetch {} cannot be read", id));
    std::ranges::copy(as_bytes(text), prefetch.keys.emplace_back().begin());
  }
  return prefetch;
}

}  // namespace

std::string_view to_string(PrefetchState state) {
  switch (state) {
    case PrefetchState::scheduled:
      return "scheduled";
    case PrefetchState::fetching:
      return "fetching";
    case PrefetchState::retrying:
      return "retrying";
    case PrefetchState::done:
      return "done";
    case PrefetchState::failed:
      return "failed";
  }
  return "?";
}

Prefetches::Prefetches(Database& database, PrefetchActions actions, Clock& clock, Log& log,
                       const net::any_io_executor& executor)
    : database_(database),
      actions_(std::move(actions)),
      clock_(clock),
      log_(log),
      executor_(executor),
      changed_(executor),
      scope_(executor, log) {}

Status Prefetches::load() {
  return database_.read([&](const ReadTxn& txn) -> Status {
    return txn.scan(kPrefetches, {}, [&](Bytes row, Bytes value) -> Result<bool> {
      KeyReader reader(row);
      POSTERN_TRY(const std::uint64_t id, reader.u64());
      POSTERN_TRY(const auto record, decode_record<gateway_record::Prefetch>(kPrefetches, row, value));
      POSTERN_TRY(Prefetch prefetch, from_record(id, record));
      if (prefetch.state == PrefetchState::fetching) {
        prefetch.state = PrefetchState::scheduled;
        prefetch.next = clock_.wall();
      }
      next_id_ = std::max(next_id_, id + 1);
      prefetches_[id] = std::move(prefetch);
      return true;
    });
  });
}

void Prefetches::start() {
  scope_.spawn(executor_, "prefetch.work", work());
}

net::awaitable<Status> Prefetches::stop() {
  scope_.stop(net::cancellation_type::terminal);
  co_return co_await scope_.join(clock_, std::chrono::seconds(5));
}

Prefetch* Prefetches::known(std::uint64_t id) {
  const auto found = prefetches_.find(id);
  return found == prefetches_.end() ? nullptr : &found->second;
}

std::vector<Prefetch> Prefetches::list() const {
  std::vector<Prefetch> all;
  for (const auto& [id, prefetch] : prefetches_) all.push_back(prefetch);
  return all;
}

std::optional<Prefetch> Prefetches::find(std::uint64_t id) const {
  const auto found = prefetches_.find(id);
  return found == prefetches_.end() ? std::nullopt : std::optional(found->second);
}

net::awaitable<Result<Prefetch>> Prefetches::add(std::string what, WallTime at,
                                                 std::optional<unsigned> daily) {
  if (what.empty() || what.size() > kWhatBytesMax) co_return invalid("a name or a URL is needed");
  if (prefetches_.size() >= kPrefetchesMax) {
    co_return exhausted(fmt::format("there are {} prefetches already: cancel some", kPrefetchesMax));
  }
  const std::uint64_t id = next_id_++;
  prefetches_[id] = {.id = id,
                     .what = std::move(what),
                     .daily = daily,
                     .next = daily ? next_daily(clock_.wall(), *daily) : at};
  if (auto stored = co_await store(id); !stored) {
    prefetches_.erase(id);
    co_return std::move(stored).error();
  }
  changed_.notify();
  const auto added = find(id);
  if (!added) co_return cancelled("the prefetch was cancelled at once");
  co_return *added;
}

net::awaitable<Status> Prefetches::cancel(std::uint64_t id) {
  const Prefetch* prefetch = known(id);
  if (prefetch == nullptr) co_return not_found(fmt::format("there is no prefetch {}", id));
  if (prefetch->state == PrefetchState::fetching) {
    for (const ArtifactKey& key : prefetch->keys) actions_.cancel(key);
  }
  prefetches_.erase(id);
  co_return co_await database_.write([&](WriteTxn& txn) { return txn.del(kPrefetches, row_of(id)); });
}

net::awaitable<Status> Prefetches::store(std::uint64_t id) {
  const Prefetch* prefetch = known(id);
  if (prefetch == nullptr) co_return Status{};  // it was cancelled meanwhile
  co_return co_await database_.write([id, record = to_record(*prefetch)](WriteTxn& txn) {
    return put_record(txn, kPrefetches, row_of(id), record);
  });
}

net::awaitable<void> Prefetches::store_or_warn(std::uint64_t id) {
  if (auto stored = co_await store(id); !stored) {
    log_.warn("prefetch.not_stored", {{"prefetch", id}, {"error", stored.error().what}});
  }
  // Cancelled while that was on its way: it must not come back with the next start.
  if (known(id) == nullptr) {
    const auto removed =
        co_await database_.write([&](WriteTxn& txn) { return txn.del(kPrefetches, row_of(id)); });
    if (!removed) log_.warn("prefetch.not_removed", {{"prefetch", id}, {"error", removed.error().what}});
  }
}

Duration Prefetches::until_next() const {
  Duration wait = kSleepMax;
  const WallTime now = clock_.wall();
  for (const auto& [id, prefetch] : prefetches_) {
    if (prefetch.state == PrefetchState::fetching) wait = std::min(wait, kLookInterval);
    if (is_over(prefetch) || prefetch.state == PrefetchState::fetching) continue;
    wait = std::min(wait, std::max(Duration(0), Duration(prefetch.next - now)));
  }
  return wait;
}

net::awaitable<void> Prefetches::work() {
  for (;;) {
    co_await look();
    co_await follow_clock();
    std::vector<std::uint64_t> due;
    for (const auto& [id, prefetch] : prefetches_) {
      const bool waits =
          prefetch.state == PrefetchState::scheduled || prefetch.state == PrefetchState::retrying;
      if (waits && prefetch.next <= clock_.wall()) due.push_back(id);
    }
    for (const std::uint64_t id : due) co_await begin(id);
    co_await forget_old();
    const auto waited = co_await within(clock_, until_next(), changed_.wait());
    if (!waited && waited.error().kind == Kind::cancelled) co_return;
  }
}

net::awaitable<void> Prefetches::follow_clock() {
  const WallTime now = clock_.wall();
  std::vector<std::uint64_t> sooner;
  for (auto& [id, prefetch] : prefetches_) {
    WallTime latest = prefetch.next;
    if (prefetch.state == PrefetchState::retrying) latest = now + kPauses.back();
    if (prefetch.state == PrefetchState::scheduled && prefetch.daily)
      latest = next_daily(now, *prefetch.daily);
    if (latest >= prefetch.next) continue;
    prefetch.next = latest;
    sooner.push_back(id);
  }
  for (const std::uint64_t id : sooner) co_await store_or_warn(id);
}

net::awaitable<void> Prefetches::begin(std::uint64_t id) {
  Prefetch* prefetch = known(id);
  if (prefetch == nullptr) co_return;
  ++prefetch->attempts;
  prefetch->last = clock_.wall();
  prefetch->state = PrefetchState::fetching;
  log_.info("prefetch.begun", {{"prefetch", id}, {"attempt", prefetch->attempts}});
  if (auto fetched = co_await fetch(id); !fetched) {
    co_await fail(id, fetched.error());
    co_return;
  }
  co_await store_or_warn(id);
}

net::awaitable<Status> Prefetches::fetch(std::uint64_t id) {
  // Cancelling it meanwhile leaves nothing behind that could be written to.
  const std::string what = known(id)->what;
  POSTERN_CO_TRY(const auto artifacts, co_await actions_.resolve(what));
  std::vector<ArtifactKey> keys;
  for (const CachedArtifact& artifact : artifacts) keys.push_back(artifact.key);
  if (Prefetch* prefetch = known(id); prefetch != nullptr) {
    prefetch->keys = keys;
  } else {
    co_return Status{};
  }
  for (const ArtifactKey& key : keys) POSTERN_CO_CHECK(co_await actions_.start(key));
  co_return Status{};
}

net::awaitable<void> Prefetches::look() {
  std::vector<std::uint64_t> under_way;
  for (const auto& [id, prefetch] : prefetches_) {
    if (prefetch.state == PrefetchState::fetching) under_way.push_back(id);
  }
  if (under_way.empty()) co_return;
  const auto kept = actions_.list();
  if (!kept) {
    log_.warn("prefetch.not_seen", {{"error", kept.error().what}});
    co_return;
  }
  for (const std::uint64_t id : under_way) {
    const Prefetch* prefetch = known(id);
    if (prefetch == nullptr) continue;
    std::size_t complete = 0;
    std::optional<Error> failure;
    for (const ArtifactKey& key : prefetch->keys) {
      const auto found = std::ranges::find(*kept, key, &KeptArtifact::key);
      if (found == kept->end()) {
        failure = transient("nothing of it is here, and nobody fetches it");
      } else if (found->state == KeptState::complete) {
        ++complete;
      } else if (found->state == KeptState::refused) {
        failure = corrupt(fmt::format("what came was refused: {}", found->refusal));
      } else if (found->state == KeptState::partial) {
        failure = transient("the transfer ended early");
      }
    }
    if (failure) {
      co_await fail(id, *failure);
    } else if (complete == prefetch->keys.size()) {
      co_await succeed(id);
    }
  }
}

net::awaitable<void> Prefetches::succeed(std::uint64_t id) {
  Prefetch& prefetch = *known(id);
  log_.info("prefetch.done",
            {{"prefetch", id}, {"took_ms", (clock_.wall() - prefetch.last.value_or(clock_.wall())).count()}});
  prefetch.error.clear();
  prefetch.attempts = 0;
  prefetch.state = prefetch.daily ? PrefetchState::scheduled : PrefetchState::done;
  if (prefetch.daily) prefetch.next = next_daily(clock_.wall(), *prefetch.daily);
  co_await store_or_warn(id);
}

net::awaitable<void> Prefetches::fail(std::uint64_t id, const Error& error) {
  Prefetch* prefetch = known(id);
  if (prefetch == nullptr || error.kind == Kind::cancelled) co_return;
  // What the upstream does not have, and what may not be fetched, will not be there in a minute.
  const bool is_hopeless = error.reason == Reason::forbidden || error.reason == Reason::invalid;
  const bool is_last = is_hopeless || prefetch->attempts >= kAttemptsMax;
  log_.warn("prefetch.failed",
            {{"prefetch", id}, {"attempt", prefetch->attempts}, {"last", is_last}, {"error", error.what}});
  prefetch->error = error.what;
  if (!is_last) {
    const std::size_t pause = std::min<std::size_t>(prefetch->attempts, kPauses.size()) - 1;
    prefetch->state = PrefetchState::retrying;
    prefetch->next = clock_.wall() + kPauses[pause];
  } else {
    prefetch->attempts = 0;
    prefetch->state = prefetch->daily ? PrefetchState::scheduled : PrefetchState::failed;
    if (prefetch->daily) prefetch->next = next_daily(clock_.wall(), *prefetch->daily);
  }
  co_await store_or_warn(id);
}

net::awaitable<void> Prefetches::forget_old() {
  std::vector<std::uint64_t> over;
  for (const auto& [id, prefetch] : prefetches_) {
    if (is_over(prefetch)) over.push_back(id);
  }
  for (std::size_t i = 0; i + kFinishedMax < over.size(); ++i) {
    if (auto removed = co_await cancel(over[i]); !removed) {
      log_.warn("prefetch.not_removed", {{"prefetch", over[i]}, {"error", removed.error().what}});
    }
  }
}

}  // namespace postern::gateway
