// The rate of one link: a token bucket that follows a calendar.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include "gateway/traffic/calendar.hpp"
#include "shared/async/task_scope.hpp"

namespace postern::gateway {

/// What bytes are for, the most urgent first: as long as somebody waits for one, those behind get nothing.
enum class Traffic : unsigned char {
  state,       ///< requests and answers of the device API: small, and what a site lives on
  bulk,        ///< artifacts that a device waits for
  background,  ///< artifacts that nobody waits for yet
};
inline constexpr std::array<std::string_view, 3> kTrafficNames{"state", "bulk", "background"};

/// Shares the rate of a link among those who want to send or receive. Each call asks for bytes; whoever has
/// them may move them. Requests are granted in pieces, in turn, so that many readers progress evenly and a
/// large request does not hold up the small one behind it. Thread-safe;
/// whoever waits is resumed on its own executor.
class Limiter {
 public:
  /// Nobody is granted more at once.
  static constexpr std::size_t kGrantBytesMax = 64 << 10;
  /// A wait for bytes ends after this (decision 3: readers wait at most 4 minutes).
  static constexpr Duration kWaitMax = std::chrono::minutes(4);

  struct Counters {
    std::uint64_t granted_bytes = 0;
    std::uint64_t waiting = 0;  ///< now
    Duration waited{};          ///< by all together
  };

  /// The calendar is followed on `executor`, and grants are made there.
  Limiter(Calendar calendar, Clock& clock, Log& log, const net::any_io_executor& executor,
          TimeZone time_zone = to_local_time);
  ~Limiter();
  Limiter(const Limiter&) = delete;
  Limiter& operator=(const Limiter&) = delete;

  /// Begins to follow the calendar; until then the rate is that of the construction. Who starts it stops it.
  void start();

  /// Takes the bytes if they are to be had without waiting and nobody who waits is overtaken. Costs an
  /// addition without a lock while the link is unlimited. Requests for more than a burst fail whenever the
  /// link is limited.
  bool try_acquire(Traffic traffic, std::size_t bytes);
  /// Waits for the bytes. Cancellable. Errors: cancelled, also after stop(); exhausted with Reason::timed_out
  /// after `limit`.
  net::awaitable<Status> acquire(Traffic traffic, std::size_t bytes, Duration limit = kWaitMax);
  /// Takes the bytes now, whatever there is: they have been moved already, or will not be held up. Others
  /// wait the longer for it, up to kDebtMax.
  void charge(Traffic traffic, std::size_t bytes);
  /// Gives back bytes that were taken and not moved after all.
  void refund(Traffic traffic, std::size_t bytes);

  /// What is granted at once now: less when the rate is low or many wait, so that everyone's turn comes in
  /// time. Whoever moves much asks for this much at a time.
  std::size_t grant_bytes() const;

  /// Nobody is held up now. Costs one load.
  bool is_unlimited() const { return rate_.load(std::memory_order_relaxed) == Rate::kUnlimited; }
  /// Nothing but state passes now. Costs one load.
  bool is_closed() const { return rate_.load(std::memory_order_relaxed) == 0; }
  Rate rate() const { return {.bytes_per_second = rate_.load(std::memory_order_relaxed)}; }
  Counters counters(Traffic traffic) const;

  /// Follows another calendar from now on.
  void set_calendar(Calendar calendar);
  /// Ends all waits with `cancelled`, and those that begin later. Runs on: the executor of the constructor.
  net::awaitable<Status> stop();

 private:
  /// Unused rate adds up to this much time of it.
  static constexpr Duration kBurst = std::chrono::milliseconds(100);
  static constexpr std::size_t kGrantBytesMin = 4 << 10;
  /// A round of all who wait should take no longer.
  static constexpr Duration kRoundMax = std::chrono::seconds(30);
  /// What charge() can take in advance, as time of the rate.
  static constexpr Duration kDebtMax = std::chrono::seconds(2);
  /// How long a stepped wall clock or a change of summer time can go unnoticed.
  static constexpr Duration kLookMax = std::chrono::seconds(1);
  static constexpr Duration kPauseMin = std::chrono::milliseconds(2);

  struct Waiter;
  using Queue = std::deque<std::shared_ptr<Waiter>>;

  // With the lock held:
  void follow_calendar();
  void refill();
  double burst_bytes() const;
  bool may_take(Traffic traffic, std::size_t bytes) const;
  void take(Traffic traffic, std::size_t bytes);
  void give_back(Traffic traffic, std::size_t bytes);
  /// The most urgent queue in which somebody waits; null when nobody does.
  Queue* first_queue();
  /// Grants what there is, in turn. How long to pause until there is more; nothing when nobody waits.
  std::optional<Duration> grant();
  bool grant_one(Queue& queue);
  void end_waits(const std::function<bool(const Waiter&)>& should_end, const Error& error);
  void resume(Waiter& waiter, Status outcome);

  net::awaitable<void> watch();
  net::awaitable<void> pump();
  /// The wait of a coroutine is over: how it went.
  Status conclude(const std::shared_ptr<Waiter>& waiter);

  Clock& clock_;
  const net::any_io_executor executor_;
  const TimeZone time_zone_;
  std::atomic<std::uint64_t> rate_ = Rate::kUnlimited;
  std::array<std::atomic<std::uint64_t>, kTrafficNames.size()> granted_{};
  std::array<std::atomic<std::uint64_t>, kTrafficNames.size()> waiting_{};
  std::array<std::atomic<std::uint64_t>, kTrafficNames.size()> waited_ns_{};

  mutable std::mutex mutex_;
  Calendar calendar_;
  double tokens_ = 0;  ///< bytes that may be moved now; below zero after charge()
  SteadyTime refilled_;
  SteadyTime deadlines_seen_;
  std::array<Queue, kTrafficNames.size()> queues_;
  bool is_pumping_ = false;
  bool is_started_ = false;
  bool is_watching_ = false;
  bool is_stopped_ = false;
  TaskScope scope_;
};

}  // namespace postern::gateway
