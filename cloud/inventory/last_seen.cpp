#include "cloud/inventory/last_seen.hpp"

#include "cloud/store/store.hpp"

namespace postern::cloud {

net::awaitable<Status> LastSeen::load() {
  std::vector<Sighting> stored;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(stored, tx.sightings().list());
    return {};
  }));
  for (const Sighting& sighting : stored) note(sighting.device, sighting.at);
  const std::scoped_lock lock(mutex_);
  for (const std::uint32_t device : unstored_) is_unstored_[device] = false;
  unstored_.clear();
  co_return Status{};
}

void LastSeen::note(std::uint32_t device, WallTime now) {
  const std::scoped_lock lock(mutex_);
  if (device >= times_ms_.size()) {
    times_ms_.resize(device + 1 + device / 4);
    is_unstored_.resize(times_ms_.size());
  }
  times_ms_[device] = now.time_since_epoch().count();
  if (is_unstored_[device]) return;
  is_unstored_[device] = true;
  unstored_.push_back(device);
}

void LastSeen::forget(std::uint32_t device) {
  const std::scoped_lock lock(mutex_);
  if (device < times_ms_.size()) times_ms_[device] = 0;
}

std::optional<WallTime> LastSeen::of(std::uint32_t device) const {
  const std::scoped_lock lock(mutex_);
  if (device >= times_ms_.size() || times_ms_[device] == 0) return std::nullopt;
  return WallTime(std::chrono::milliseconds(times_ms_[device]));
}

std::vector<std::int64_t> LastSeen::all() const {
  const std::scoped_lock lock(mutex_);
  return times_ms_;
}

net::awaitable<Status> LastSeen::flush() {
  for (;;) {
    std::vector<Sighting> batch;
    {
      const std::scoped_lock lock(mutex_);
      while (!unstored_.empty() && batch.size() < kStoredAtOnce) {
        const std::uint32_t device = unstored_.back();
        unstored_.pop_back();
        is_unstored_[device] = false;
        batch.push_back({.device = device, .at = WallTime(std::chrono::milliseconds(times_ms_[device]))});
      }
    }
    if (batch.empty()) co_return Status{};
    POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
      for (const Sighting& sighting : batch) {
        const bool is_forgotten = sighting.at == WallTime();
        POSTERN_CHECK(is_forgotten ? tx.change_sightings().erase(sighting.device)
                                   : tx.change_sightings().put(sighting));
      }
      return {};
    }));
  }
}

}  // namespace postern::cloud
