// Non-blocking TCP sockets and epoll, for the programs of the benchmarks. They share no code with what they
// measure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace postern::bench {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;

/// Throws std::system_error with errno and what was tried.
[[noreturn]] void fail(const std::string& what);

/// A file descriptor and its owner.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  void reset() {
    if (number_ >= 0) close(number_);
    number_ = -1;
  }

 private:
  int number_ = -1;
};

/// An IPv4 address as text, and a port. Throws std::invalid_argument.
sockaddr_in to_address(const std::string& host, std::uint16_t port);

/// A listening socket; port 0 is a free one. Throws std::system_error.
Fd listen_at(const sockaddr_in& address);
std::uint16_t port_of(const Fd& socket);
/// The next connection that waits, if one does.
std::optional<Fd> accept_from(const Fd& listener);
/// A socket that connects; errors come with its first use. `receive_buffer` 0 leaves its size to the system.
Fd connect_to(const sockaddr_in& address, int receive_buffer);

/// Edge-triggered readiness of sockets, each with a number that its owner chose.
class Poller {
 public:
  Poller();
  /// Reports readiness for reading and for writing until the socket is closed.
  void add(const Fd& socket, std::uint64_t owner);
  /// The owners that became ready, at the latest at `until`.
  std::span<const epoll_event> wait(TimePoint until);

 private:
  Fd epoll_;
  std::vector<epoll_event> events_;
};

/// Lets this process open as many files as it can be allowed to.
void raise_file_limit();

}  // namespace postern::bench
