// What a service tells the service manager that has started it (sd_notify(3)), without its library.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/base/clock.hpp"
#include "shared/base/config.hpp"

namespace postern {

/// Sends to $NOTIFY_SOCKET; without one everything is said to nobody. Thread-safe.
class Supervisor {
 public:
  /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  explicit Supervisor(const Environment& environment);

  bool is_there() const { return !address_.empty(); }
  /// How often the manager wants to hear alive() at least; none when it does not watch this process.
  std::optional<Duration> watchdog() const { return watchdog_; }

  /// `status` is one line for a person. Errors of all of these: transient, when the manager cannot be
  /// reached.
  Status ready(std::string_view status) const;
  /// ready() ends it.
  Status reloading() const;
  Status stopping() const;
  Status alive() const;

 private:
  Status send(std::string_view message) const;

  std::string address_;
  std::optional<Duration> watchdog_;
};

}  // namespace postern
