#include "device/flow/agent.hpp"

#include <boost/asio/this_coro.hpp>

#include "device/store/file_lock.hpp"
#include "device/update/race.hpp"
#include "shared/base/cancellation.hpp"

namespace postern::device {

Agent::Agent(const net::any_io_executor& executor, Parts parts, AgentOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      woken_(executor),
      poll_backoff_(options_.retries),
      inventory_backoff_(options_.retries),
      poll_due_(parts_.clock.now()),
      inventory_due_(poll_due_) {}

net::awaitable<void> Agent::run() {
  co_await recover();
  for (;;) {
    if (co_await was_cancelled()) co_return;
    const SteadyTime now = parts_.clock.now();
    if (inventory_due_ <= now) {
      co_await send_inventory();
    } else if (poll_due_ <= now) {
      co_await poll();
    } else {
      co_await wait();
    }
  }
}

void Agent::poll_now() {
  poll_due_ = parts_.clock.now();
  woken_.notify();
}

void Agent::send_inventory_now() {
  inventory_due_ = parts_.clock.now();
  woken_.notify();
}

net::awaitable<void> Agent::wait() {
  auto due = parts_.clock.sleep_until(std::min(poll_due_, inventory_due_));
  const RaceEnd end = co_await race(std::move(due), woken_.wait());
  if (!end.status) parts_.log.debug("agent.wait_ended", {{"error", end.status.error().what}});
}

net::awaitable<void> Agent::recover() {
  const auto lock = FileLock::take(options_.update_lock);
  if (!lock) {
    parts_.log.warn("agent.recovery_postponed", {{"error", lock.error().what}});
    co_return;
  }
  const auto recovered = co_await parts_.machine.recover();
  if (!recovered) parts_.log.error("agent.recovery_failed", {{"error", recovered.error().what}});
}

SteadyTime Agent::after_failure(Backoff& backoff, Duration otherwise) {
  if (const auto asked = parts_.server.retry_after()) return parts_.clock.now() + *asked;
  const auto wait = backoff.next();
  if (!wait) backoff.reset();
  return parts_.clock.now() + wait.value_or(otherwise);
}

net::awaitable<void> Agent::send_inventory() {
  auto inventory = co_await parts_.inventory();
  Status sent = inventory ? Status{} : Status(std::move(inventory).error());
  if (sent) sent = co_await parts_.server.submit_inventory(*inventory);
  if (sent) {
    inventory_backoff_.reset();
    inventory_due_ = parts_.clock.now() + options_.inventory_poll;
    parts_.log.info("agent.inventory_sent");
    co_return;
  }
  inventory_due_ = after_failure(inventory_backoff_, options_.inventory_poll);
  if (sent.error().kind == Kind::cancelled) co_return;
  parts_.log.warn("agent.inventory_not_sent",
                  {{"error", sent.error().what},
                   {"retry_in_ms", (inventory_due_ - parts_.clock.now()) / std::chrono::milliseconds(1)}});
}

net::awaitable<void> Agent::poll() {
  const Status polled = co_await poll_server();
  if (polled) {
    poll_backoff_.reset();
    poll_due_ = parts_.clock.now() + options_.update_poll;
    co_return;
  }
  poll_due_ = after_failure(poll_backoff_, options_.update_poll);
  if (polled.error().kind == Kind::cancelled) co_return;
  parts_.log.warn("agent.poll_failed",
                  {{"error", polled.error().what},
                   {"retry_in_ms", (poll_due_ - parts_.clock.now()) / std::chrono::milliseconds(1)}});
}

net::awaitable<Status> Agent::poll_server() {
  POSTERN_CO_TRY(const FileLock lock, FileLock::take(options_.update_lock));
  POSTERN_CO_TRY(const auto by_hand, co_await parts_.store.update(UpdateKind::standalone));
  if (by_hand) {
    co_return conflict(
        fmt::format("artifact {} was installed by hand and waits to be committed or rolled back",
                    by_hand->artifact.name));
  }
  // One that could not be taken up at the start.
  POSTERN_CO_TRY(const bool recovered, co_await parts_.machine.recover());
  if (recovered) send_inventory_now();

  auto deployment = co_await ask_server();
  if (!deployment) {
    const Status scripts = co_await parts_.scripts.run("Sync", ScriptPoint::error);
    if (!scripts) parts_.log.warn("agent.error_scripts_failed", {{"error", scripts.error().what}});
    co_return std::move(deployment).error();
  }
  if (!*deployment) co_return Status{};
  POSTERN_CO_CHECK(co_await parts_.machine.install(**std::move(deployment)));
  send_inventory_now();
  co_return Status{};
}

net::awaitable<Result<std::optional<Deployment>>> Agent::ask_server() {
  POSTERN_CO_CHECK(co_await parts_.scripts.run("Sync", ScriptPoint::enter));
  POSTERN_CO_TRY(const Installed installed, co_await parts_.store.installed());
  POSTERN_CO_TRY(const std::string device_type, parts_.device_type());
  const Provides provides = all_provides(installed);
  POSTERN_CO_TRY(auto deployment, co_await parts_.server.next_deployment(device_type, provides));
  POSTERN_CO_CHECK(co_await parts_.scripts.run("Sync", ScriptPoint::leave));
  co_return deployment;
}

}  // namespace postern::device
