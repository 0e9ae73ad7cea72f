// The life of the daemon: takes up what was under way, then asks for work and sends the inventory, over and
// over.
#pragma once

#include "device/flow/machine.hpp"
#include "shared/async/event.hpp"

namespace postern::device {

struct AgentOptions {
  Duration update_poll = std::chrono::minutes(30);
  Duration inventory_poll = std::chrono::hours(8);
  BackoffOptions retries;
  std::string update_lock;  ///< file that whoever changes the device holds, see FileLock
};

/// Runs on: one executor.
class Agent {
 public:
  struct Parts {
    DeviceStore& store;
    Machine& machine;
    Server& server;
    Scripts& scripts;
    Clock& clock;
    Log& log;
    std::function<Result<std::string>()> device_type;  ///< read anew for each poll
    std::function<net::awaitable<Result<Inventory>>()> inventory;
  };
  Agent(const net::any_io_executor& executor, Parts parts, AgentOptions options);

  /// Runs until it is cancelled. An update under way is then left as if the power were cut.
  net::awaitable<void> run();

  /// As soon as nothing else is under way.
  void poll_now();
  void send_inventory_now();

 private:
  net::awaitable<void> recover();
  net::awaitable<void> send_inventory();
  net::awaitable<void> poll();
  net::awaitable<Status> poll_server();
  net::awaitable<Result<std::optional<Deployment>>> ask_server();
  net::awaitable<void> wait();
  /// When to try again after something went wrong.
  SteadyTime after_failure(Backoff& backoff, Duration otherwise);

  Parts parts_;
  const AgentOptions options_;
  Notifier woken_;
  Backoff poll_backoff_;
  Backoff inventory_backoff_;
  SteadyTime poll_due_;
  SteadyTime inventory_due_;
};

}  // namespace postern::device
