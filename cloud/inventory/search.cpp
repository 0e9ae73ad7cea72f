#include "cloud/inventory/search.hpp"

namespace postern::cloud {
namespace {

/// Above this, repeated ordinals are thrown out of the list of changes.
constexpr std::size_t kChangesToCompact = 1 << 20;

void compact(std::vector<std::uint32_t>& devices) {
  std::ranges::sort(devices);
  const auto repeated = std::ranges::unique(devices);
  devices.erase(repeated.begin(), repeated.end());
}

/// Counts one question for as long as it lives.
class Turn {
 public:
  explicit Turn(std::atomic<int>& count) : count_(count), position_(++count) {}
  ~Turn() { --count_; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  int position() const { return position_; }

 private:
  std::atomic<int>& count_;
  const int position_;
};

}  // namespace

net::awaitable<Status> DeviceSearch::rebuild() {
  std::uint32_t end = 0;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(end, tx.devices().ordinals_end());
    return {};
  }));
  std::vector<std::uint32_t> devices(end);
  for (std::uint32_t i = 0; i < end; ++i) devices[i] = i;
  note_changes(devices);
  co_return co_await catch_up();
}

void DeviceSearch::note_changes(std::span<const std::uint32_t> devices) {
  const std::scoped_lock lock(changed_mutex_);
  changed_.insert(changed_.end(), devices.begin(), devices.end());
  if (changed_.size() > 2 * kChangesToCompact) compact(changed_);
  has_changes_ = true;
}

net::awaitable<Status> DeviceSearch::catch_up() {
  if (!has_changes_) co_return Status{};
  co_return co_await pool_.run([this] { return take_over(); });
}

Status DeviceSearch::take_over() {
  if (!has_changes_) return {};
  const std::unique_lock lock(index_mutex_);
  std::vector<std::uint32_t> devices;
  {
    const std::scoped_lock changed_lock(changed_mutex_);
    devices = std::exchange(changed_, {});
    has_changes_ = false;
  }
  compact(devices);
  for (std::size_t at = 0; at < devices.size(); at += kReadAtOnce) {
    const auto slice = std::span(devices).subspan(at, std::min(kReadAtOnce, devices.size() - at));
    const Status taken = store_.read_here([&](const ReadTx& tx) { return read(tx, slice); });
    if (taken) continue;
    note_changes(std::span(devices).subspan(at));
    return taken;
  }
  return {};
}

Status DeviceSearch::read(const ReadTx& tx, std::span<const std::uint32_t> devices) {
  for (const std::uint32_t ordinal : devices) {
    POSTERN_TRY(const auto device, tx.devices().find_by_ordinal(ordinal));
    if (!device) {
      index_.erase(ordinal);
      last_seen_.forget(ordinal);
      continue;
    }
    POSTERN_TRY(const Portrait portrait, portray(tx, *device, std::nullopt));
    if (index_.put(portrait) || is_full_) continue;
    is_full_ = true;
    log_.warn("inventory.too_many_names", {{"max", DeviceIndex::kColumnsMax}, {"device", device->id}});
  }
  return {};
}

template <class T>
net::awaitable<Result<T>> DeviceSearch::ask(std::function<Result<T>(const DeviceIndex&)> question) {
  const Turn turn(questions_);
  if (turn.position() > kQuestionsMax) co_return transient("too many searches at once");
  co_return co_await pool_.run([&]() -> Result<T> {
    POSTERN_CHECK(take_over());
    const std::shared_lock lock(index_mutex_);
    return question(index_);
  });
}

net::awaitable<Result<SearchHits>> DeviceSearch::search(SearchQuery query) {
  co_return co_await ask<SearchHits>([&](const DeviceIndex& index) {
    const SteadyTime end = clock_.now() + kTimeMax;
    return index.search(query, last_seen_.all(), [&] { return clock_.now() < end; });
  });
}

net::awaitable<Result<std::vector<AttributeCount>>> DeviceSearch::attributes() {
  co_return co_await ask<std::vector<AttributeCount>>(
      [](const DeviceIndex& index) { return index.attributes(); });
}

net::awaitable<Result<std::vector<std::string>>> DeviceSearch::groups(std::optional<AuthStatus> status) {
  co_return co_await ask<std::vector<std::string>>(
      [&](const DeviceIndex& index) { return index.groups(status); });
}

net::awaitable<Result<std::vector<StatusCount>>> DeviceSearch::statuses() {
  co_return co_await ask<std::vector<StatusCount>>([](const DeviceIndex& index) { return index.statuses(); });
}

}  // namespace postern::cloud
