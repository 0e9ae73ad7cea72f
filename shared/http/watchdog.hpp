// Deadlines for many connections at the price of one timer.
#pragma once

#include <list>

#include "shared/async/task_scope.hpp"
#include "shared/base/clock.hpp"
#include "shared/transport/stream.hpp"

namespace postern::http {

/// Closes streams whose deadline has passed, which makes whatever waits on them fail. It looks twice a
/// second, so deadlines are kept to within half a second and setting one costs a store. Runs on: one
/// executor; guards are made, used and destroyed there.
class Watchdog {
 public:
  /// One watched stream. Moves the deadline as the connection goes from one kind of waiting to the next.
  class Guard {
   public:
    Guard(Watchdog& watchdog, Stream& stream);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    void expires_in(Duration limit) { deadline_ = watchdog_.clock_.now() + limit; }
    bool expired() const { return expired_; }
    /// Closes the stream now.
    void close() { stream_->close(); }
    void abort() { stream_->abort(); }
    /// The stream was replaced, by its TLS form for instance.
    void watch(Stream& stream) { stream_ = &stream; }

   private:
    friend class Watchdog;
    Watchdog& watchdog_;
    Stream* stream_;
    SteadyTime deadline_ = SteadyTime::max();
    bool expired_ = false;
    std::list<Guard*>::iterator place_;
  };

  explicit Watchdog(Clock& clock) : clock_(clock) {}

  /// Looks after the deadlines until cancelled. Spawn it once, on the watchdog's executor.
  net::awaitable<void> run();

 private:
  Clock& clock_;
  std::list<Guard*> guards_;
};

}  // namespace postern::http
