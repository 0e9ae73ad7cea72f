#include "gateway/traffic/limiter.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/base/cancellation.hpp"

namespace postern::gateway {
namespace {

constexpr Duration kUnwind = std::chrono::seconds(5);

double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::size_t index_of(Traffic traffic) {
  return static_cast<std::size_t>(traffic);
}

Error stopped() {
  return cancelled("wait for the link's rate");
}

}  // namespace

struct Limiter::Waiter {
  Waiter(const net::any_io_executor& on, Traffic for_traffic, std::size_t bytes, SteadyTime now,
         Duration limit)
      : executor(on),
        timer(on, net::steady_timer::time_point::max()),
        traffic(for_traffic),
        asked(bytes),
        remaining(bytes),
        since(now),
        give_up(now + limit) {}

  const net::any_io_executor executor;
  net::steady_timer timer;  ///< never runs out: cancelled to go on. Touched on `executor` only
  const Traffic traffic;
  const std::size_t asked;
  std::size_t remaining;
  const SteadyTime since;
  const SteadyTime give_up;
  std::optional<Status> outcome;
};

Limiter::Limiter(Calendar calendar, Clock& clock, Log& log, const net::any_io_executor& executor,
                 TimeZone time_zone)
    : clock_(clock),
      executor_(executor),
      time_zone_(std::move(time_zone)),
      calendar_(std::move(calendar)),
      refilled_(clock.now()),
      deadlines_seen_(refilled_),
      scope_(executor, log) {
  follow_calendar();
}

Limiter::~Limiter() = default;

void Limiter::start() {
  {
    const std::lock_guard lock(mutex_);
    is_started_ = true;
    if (is_watching_ || is_stopped_ || calendar_.is_constant()) return;
    is_watching_ = true;
  }
  scope_.spawn(executor_, "traffic.watch", watch());
}

void Limiter::set_calendar(Calendar calendar) {
  {
    const std::lock_guard lock(mutex_);
    calendar_ = std::move(calendar);
    follow_calendar();
    if (!is_started_) return;
  }
  start();
}

void Limiter::follow_calendar() {
  refill();
  const Rate rate = calendar_.rate_at(time_zone_(clock_.wall()));
  if (rate.bytes_per_second == rate_.load()) return;
  rate_ = rate.bytes_per_second;
  // Neither riches nor debts of another rate are carried on.
  tokens_ = rate.is_unlimited() ? 0 : std::clamp(tokens_, 0.0, burst_bytes());
}

void Limiter::refill() {
  const SteadyTime now = clock_.now();
  const Duration elapsed = now - std::exchange(refilled_, now);
  const Rate current = rate();
  if (current.is_unlimited()) return;
  const double earned = static_cast<double>(current.bytes_per_second) * seconds_of(elapsed);
  tokens_ = std::min(tokens_ + earned, burst_bytes());
}

std::size_t Limiter::grant_bytes() const {
  const std::uint64_t waiting = waiting_[index_of(Traffic::bulk)].load(std::memory_order_relaxed);
  const double turn = std::min(seconds_of(kBurst), seconds_of(kRoundMax) / static_cast<double>(waiting + 1));
  return static_cast<std::size_t>(std::clamp(static_cast<double>(rate().bytes_per_second) * turn,
                                             static_cast<double>(kGrantBytesMin),
                                             static_cast<double>(kGrantBytesMax)));
}

double Limiter::burst_bytes() const {
  const Rate current = rate();
  if (current.is_closed()) return 0;
  return std::max(static_cast<double>(current.bytes_per_second) * seconds_of(kBurst),
                  static_cast<double>(grant_bytes()));
}

bool Limiter::may_take(Traffic traffic, std::size_t bytes) const {
  const Rate current = rate();
  if (current.is_unlimited()) return true;
  if (current.is_closed()) return traffic == Traffic::state;
  return tokens_ >= static_cast<double>(bytes);
}

void Limiter::take(Traffic traffic, std::size_t bytes) {
  granted_[index_of(traffic)].fetch_add(bytes, std::memory_order_relaxed);
  const Rate current = rate();
  if (current.is_unlimited() || current.is_closed()) return;
  const double debt_max = static_cast<double>(current.bytes_per_second) * seconds_of(kDebtMax);
  tokens_ = std::max(tokens_ - static_cast<double>(bytes), -debt_max);
}

bool Limiter::try_acquire(Traffic traffic, std::size_t bytes) {
  if (is_unlimited()) {
    granted_[index_of(traffic)].fetch_add(bytes, std::memory_order_relaxed);
    return true;
  }
  const std::lock_guard lock(mutex_);
  const bool overtakes = std::ranges::any_of(std::span(queues_).first(index_of(traffic) + 1),
                                             [](const Queue& queue) { return !queue.empty(); });
  if (overtakes || is_stopped_) return false;
  refill();
  if (!may_take(traffic, bytes)) return false;
  take(traffic, bytes);
  return true;
}

void Limiter::charge(Traffic traffic, std::size_t bytes) {
  if (is_unlimited()) {
    granted_[index_of(traffic)].fetch_add(bytes, std::memory_order_relaxed);
    return;
  }
  const std::lock_guard lock(mutex_);
  refill();
  take(traffic, bytes);
}

void Limiter::refund(Traffic traffic, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  give_back(traffic, bytes);
}

void Limiter::give_back(Traffic traffic, std::size_t bytes) {
  granted_[index_of(traffic)].fetch_sub(bytes, std::memory_order_relaxed);
  if (!is_unlimited()) tokens_ = std::min(tokens_ + static_cast<double>(bytes), burst_bytes());
}

net::awaitable<Status> Limiter::acquire(Traffic traffic, std::size_t bytes, Duration limit) {
  if (try_acquire(traffic, bytes)) co_return Status{};
  if (co_await was_cancelled()) co_return stopped();
  const net::any_io_executor executor = co_await net::this_coro::executor;
  const auto waiter = std::make_shared<Waiter>(executor, traffic, bytes, clock_.now(), limit);
  bool pump_is_needed = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_stopped_) co_return stopped();
    queues_[index_of(traffic)].push_back(waiter);
    ++waiting_[index_of(traffic)];
    pump_is_needed = !std::exchange(is_pumping_, true);
  }
  if (pump_is_needed) scope_.spawn(executor_, "traffic.pump", pump());
  co_await waiter->timer.async_wait(net::as_tuple(net::use_awaitable));
  co_return conclude(waiter);
}

Status Limiter::conclude(const std::shared_ptr<Waiter>& waiter) {
  const std::lock_guard lock(mutex_);
  if (!waiter->outcome) {
    // Cancelled from outside. What was granted so far is not used; the queue drops it in passing.
    give_back(waiter->traffic, waiter->asked - waiter->remaining);
    resume(*waiter, stopped());
  }
  return *std::move(waiter->outcome);
}

void Limiter::resume(Waiter& waiter, Status outcome) {
  waiter.outcome = std::move(outcome);
  --waiting_[index_of(waiter.traffic)];
  waited_ns_[index_of(waiter.traffic)].fetch_add(
      static_cast<std::uint64_t>((clock_.now() - waiter.since).count()), std::memory_order_relaxed);
}

std::optional<Duration> Limiter::grant() {
  refill();
  if (refilled_ - deadlines_seen_ >= kLookMax) {
    deadlines_seen_ = refilled_;
    end_waits([&](const Waiter& waiter) { return waiter.give_up <= refilled_; },
              Error{Kind::exhausted, Reason::timed_out, "waited too long for the link's rate"});
  }
  for (;;) {
    Queue* const queue = first_queue();
    if (queue == nullptr) return std::nullopt;
    if (grant_one(*queue)) continue;
    if (rate().is_closed()) return kLookMax;
    const double missing = static_cast<double>(std::min(queue->front()->remaining, grant_bytes())) - tokens_;
    const double seconds = missing / static_cast<double>(rate().bytes_per_second);
    return std::clamp(std::chrono::ceil<Duration>(std::chrono::duration<double>(std::min(seconds, 10.0))),
                      kPauseMin, kLookMax);
  }
}

Limiter::Queue* Limiter::first_queue() {
  for (Queue& queue : queues_) {
    while (!queue.empty() && queue.front()->outcome) queue.pop_front();
    if (!queue.empty()) return &queue;
  }
  return nullptr;
}

bool Limiter::grant_one(Queue& queue) {
  const std::shared_ptr<Waiter> waiter = queue.front();
  const std::size_t piece = is_unlimited() ? waiter->remaining : std::min(waiter->remaining, grant_bytes());
  if (!may_take(waiter->traffic, piece)) return false;
  take(waiter->traffic, piece);
  waiter->remaining -= piece;
  queue.pop_front();
  if (waiter->remaining > 0) {
    queue.push_back(waiter);
    return true;
  }
  resume(*waiter, {});
  net::post(waiter->executor, [waiter] { waiter->timer.cancel(); });
  return true;
}

void Limiter::end_waits(const std::function<bool(const Waiter&)>& should_end, const Error& error) {
  for (Queue& queue : queues_) {
    std::erase_if(queue, [&](const std::shared_ptr<Waiter>& waiter) {
      if (waiter->outcome) return true;
      if (!should_end(*waiter)) return false;
      resume(*waiter, error);
      net::post(waiter->executor, [waiter] { waiter->timer.cancel(); });
      return true;
    });
  }
}

net::awaitable<void> Limiter::pump() {
  for (;;) {
    Duration pause{};
    {
      const std::lock_guard lock(mutex_);
      const auto until_more = is_stopped_ ? std::nullopt : grant();
      if (!until_more) {
        is_pumping_ = false;
        co_return;
      }
      pause = *until_more;
    }
    if (auto slept = co_await clock_.sleep(pause); !slept) co_return;  // only stop() cancels it
  }
}

net::awaitable<void> Limiter::watch() {
  for (;;) {
    Duration pause = kLookMax;
    {
      const std::lock_guard lock(mutex_);
      follow_calendar();
      (void)grant();  // the pump's own pause goes on as it was
      const LocalTime local = time_zone_(clock_.wall());
      if (const auto change = calendar_.next_change(local))
        pause = std::min<Duration>(pause, *change - local);
    }
    if (auto slept = co_await clock_.sleep(std::max(pause, kPauseMin)); !slept) co_return;
  }
}

Limiter::Counters Limiter::counters(Traffic traffic) const {
  const std::size_t index = index_of(traffic);
  return {.granted_bytes = granted_[index],
          .waiting = waiting_[index],
          .waited = Duration(static_cast<Duration::rep>(waited_ns_[index].load()))};
}

net::awaitable<Status> Limiter::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    end_waits([](const Waiter&) { return true; }, stopped());
  }
  scope_.stop(net::cancellation_type::terminal);
  co_return co_await scope_.join(clock_, kUnwind);
}

}  // namespace postern::gateway
