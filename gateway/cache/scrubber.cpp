#include "gateway/cache/scrubber.hpp"

#include "shared/base/cancellation.hpp"

namespace postern::gateway {
namespace {

/// So many chunks may be looked at again after a restart.
constexpr unsigned kSaveEvery = 16;
/// Between two chunks, however many there are.
constexpr Duration kPaceMin = std::chrono::milliseconds(10);
/// How soon the pace follows when there are more or fewer chunks.
constexpr Duration kLookInterval = std::chrono::minutes(10);

}  // namespace

Duration Scrubber::pace() const {
  const auto count = static_cast<std::int64_t>(std::max<std::size_t>(chunks_.usage().chunks, 1));
  return std::max(interval_ / count, kPaceMin);
}

net::awaitable<Status> Scrubber::begin_round() {
  place_ = {.chunk = std::nullopt, .begun = clock_.wall()};
  unsaved_ = 0;
  co_return co_await catalog_.note_scrub_place(place_);
}

net::awaitable<Status> Scrubber::step() {
  const auto next = chunks_.list_after(place_.chunk, 1);
  if (next.empty()) {
    const auto elapsed = clock_.wall() - place_.begun;
    // A clock that was set back does not hold up the next round.
    if (elapsed >= interval_ || elapsed < Duration(0)) co_return co_await begin_round();
    co_return Status{};
  }
  place_.chunk = next.front();
  const auto checked = co_await pool_.run([&] { return chunks_.check(next.front()); });
  ++metrics_.cache_chunks_scrubbed;
  if (!checked && (checked.error().kind == Kind::corrupt || checked.error().reason == Reason::not_found)) {
    POSTERN_CO_CHECK(repair_(next.front()));
  } else if (!checked) {
    co_return checked;
  }
  if (++unsaved_ < kSaveEvery) co_return Status{};
  unsaved_ = 0;
  co_return co_await catalog_.note_scrub_place(place_);
}

net::awaitable<void> Scrubber::run() {
  if (interval_ == Duration(0)) co_return;
  if (auto place = catalog_.scrub_place(); place && *place) {
    place_ = **place;
  } else {
    place_.begun = clock_.wall();
  }
  SteadyTime last = clock_.now();
  while (!co_await was_cancelled()) {
    if (const SteadyTime due = last + pace(); clock_.now() < due) {
      if (!co_await clock_.sleep(std::min(due - clock_.now(), kLookInterval))) co_return;
      continue;
    }
    last = clock_.now();
    if (auto done = co_await step(); !done) log_.warn("cache.scrub_failed", {{"error", done.error().what}});
  }
}

}  // namespace postern::gateway
