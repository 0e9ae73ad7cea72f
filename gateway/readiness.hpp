// Whether the gateway lives, and whether it can serve devices: for those who watch it.
#pragma once

#include <functional>

#include "shared/async/event.hpp"
#include "shared/async/loop_monitor.hpp"
#include "shared/http/router.hpp"
#include "shared/store/database.hpp"

namespace postern::gateway {

/// Writes to the state when it is asked whether that can be written to, so that a full or broken disk is told
/// before a device meets it. Runs on: one executor.
class StoreProbe {
 public:
  /// An answer that is younger is given again.
  static constexpr Duration kFresh = std::chrono::seconds(10);
  /// A write that takes longer counts as failed, though it goes on.
  static constexpr Duration kWriteMax = std::chrono::seconds(5);

  StoreProbe(Database& database, Clock& clock, Log& log, const net::any_io_executor& executor);

  net::awaitable<Status> check();
  net::awaitable<Status> stop();

 private:
  net::awaitable<void> write();

  Database& database_;
  Clock& clock_;
  const net::any_io_executor executor_;
  std::optional<Status> outcome_;
  SteadyTime begun_{};
  SteadyTime ended_{};
  bool is_writing_ = false;
  Notifier written_;
  TaskScope scope_;
};

enum class Need : bool {
  needed,  ///< without it devices cannot be served
  useful,  ///< it is told only
};

/// Runs on: one executor.
class Readiness {
 public:
  explicit Readiness(const LoopMonitor& loops) : loops_(loops) {}

  /// `check` says what is wrong, if anything is.
  using Check = std::function<net::awaitable<Status>()>;
  void add(std::string name, Need need, Check check) {
    checks_.push_back({std::move(name), need, std::move(check)});
  }

  struct Finding {
    std::string name;
    Need need = Need::needed;
    Status status;
  };
  net::awaitable<std::vector<Finding>> findings() const;
  static bool is_ready(const std::vector<Finding>& findings);

  /// GET /healthz: 200, or 503 when an event loop does not answer. GET /readyz: 200 or 503, and each check in
  /// JSON.
  void add_routes(http::Router& router) const;

 private:
  struct Entry {
    std::string name;
    Need need;
    Check check;
  };
  net::awaitable<http::Response> tell_alive() const;
  net::awaitable<http::Response> tell_ready() const;

  const LoopMonitor& loops_;
  std::vector<Entry> checks_;
};

}  // namespace postern::gateway
