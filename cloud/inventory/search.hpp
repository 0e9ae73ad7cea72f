// Searches over all devices: the index, kept up to date with the store, and asked on the pool's threads.
#pragma once

#include <atomic>
#include <shared_mutex>

#include "cloud/inventory/index.hpp"
#include "shared/async/pool.hpp"
#include "shared/base/log.hpp"

namespace postern::cloud {

/// Every answer knows of whatever was committed before the question. Thread-safe.
class DeviceSearch {
 public:
  /// Questions that may be under way; beyond that they are refused at once.
  static constexpr int kQuestionsMax = 64;
  /// How long a search may look at values before it is given up.
  static constexpr std::chrono::seconds kTimeMax{2};

  DeviceSearch(Store& store, LastSeen& last_seen, Clock& clock, Pool& pool, Log& log)
      : store_(store), last_seen_(last_seen), clock_(clock), pool_(pool), log_(log) {}

  /// Reads all devices from the store. Call it once, before the first question.
  net::awaitable<Status> rebuild();
  /// These devices have changed. Returns at once.
  void note_changes(std::span<const std::uint32_t> devices);
  /// Takes over what has changed; questions do that too, but then they wait for it.
  net::awaitable<Status> catch_up();

  /// Errors of all questions: transient (too many at once); those of the store. Of this one also
  /// unprocessable, when it would take too long.
  net::awaitable<Result<SearchHits>> search(SearchQuery query);
  net::awaitable<Result<std::vector<AttributeCount>>> attributes();
  net::awaitable<Result<std::vector<std::string>>> groups(std::optional<AuthStatus> status);
  net::awaitable<Result<std::vector<StatusCount>>> statuses();

 private:
  static constexpr std::size_t kReadAtOnce = 256;

  template <class T>
  net::awaitable<Result<T>> ask(std::function<Result<T>(const DeviceIndex&)> question);
  Status take_over();
  Status read(const ReadTx& tx, std::span<const std::uint32_t> devices);

  Store& store_;
  LastSeen& last_seen_;
  Clock& clock_;
  Pool& pool_;
  Log& log_;
  std::atomic<int> questions_ = 0;

  std::mutex changed_mutex_;
  std::vector<std::uint32_t> changed_;
  std::atomic<bool> has_changes_ = false;

  std::shared_mutex index_mutex_;  ///< held by threads of the pool only
  DeviceIndex index_;
  bool is_full_ = false;  ///< it was said that there are too many attribute names
};

}  // namespace postern::cloud
