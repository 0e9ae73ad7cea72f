// The frame of a program that serves until it is told to stop: event loops, signals, and an orderly end.
#pragma once

#include <functional>
#include <list>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

namespace postern {

/// Lets the process have as many open files as it may: each connection takes one.
void raise_file_limit(Log& log);

/// One thread and one event loop per core. From its construction on no SIGTERM or SIGINT is lost.
class Service {
 public:
  /// `name` begins the names of its events in the log. With 0 threads there is one for each core.
  Service(std::string name, unsigned threads, Log& log);

  /// What the program's parts run on; all of it outlives them.
  std::vector<net::any_io_executor> executors();

  /// Calls `reload` on the first executor for every SIGHUP from now on, which else would end the process.
  /// Call it once, before run().
  void on_hangup(std::function<void()> reload);

  /// Runs the loops until a signal has come and `stop` has ended, which gets `grace` for what is under way. A
  /// second signal ends the process at once.
  void run(std::function<net::awaitable<Status>(Duration grace)> stop, Duration grace);

 private:
  void wait_for_hangup();
  net::awaitable<void> stop_at_signal(std::function<net::awaitable<Status>(Duration grace)> stop,
                                      Duration grace);

  const std::string name_;
  Log& log_;
  std::list<net::io_context> contexts_;
  net::signal_set signals_;
  net::signal_set hangups_;
  std::function<void()> reload_;
};

}  // namespace postern
