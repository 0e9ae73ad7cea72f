#include "testbed/benchmarks/wire/socket.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace postern::bench {
namespace {

constexpr int kBacklog = 4096;
constexpr std::size_t kEventsMax = 1024;
constexpr rlim_t kFilesWanted = 1 << 16;

void set_option(const Fd& socket, int level, int option, int value) {
  if (setsockopt(socket.get(), level, option, &value, sizeof(value)) != 0) fail("setsockopt");
}

}  // namespace

void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in to_address(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument(host + " is not an IPv4 address");
  }
  return address;
}

Fd listen_at(const sockaddr_in& address) {
  Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener) fail("socket");
  set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) fail("bind");
  if (listen(listener.get(), kBacklog) != 0) fail("listen");
  return listener;
}

std::uint16_t port_of(const Fd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  return ntohs(address.sin_port);
}

std::optional<Fd> accept_from(const Fd& listener) {
  Fd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!accepted) {
    if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return std::nullopt;
    fail("accept");
  }
  set_option(accepted, IPPROTO_TCP, TCP_NODELAY, 1);
  return accepted;
}

Fd connect_to(const sockaddr_in& address, int receive_buffer) {
  Fd connecting(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!connecting) fail("socket");
  set_option(connecting, IPPROTO_TCP, TCP_NODELAY, 1);
  if (receive_buffer > 0) set_option(connecting, SOL_SOCKET, SO_RCVBUF, receive_buffer);
  if (connect(connecting.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS) {
    fail("connect");
  }
  return connecting;
}

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)), events_(kEventsMax) {
  if (!epoll_) fail("epoll_create1");
}

void Poller::add(const Fd& socket, std::uint64_t owner) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = owner}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) fail("epoll_ctl");
}

std::span<const epoll_event> Poller::wait(TimePoint until) {
  const auto left = std::max(until - SteadyClock::now(), SteadyClock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  const int count =
      epoll_pwait2(epoll_.get(), events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
  if (count < 0 && errno != EINTR) fail("epoll_pwait2");
  return {events_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
  const rlimit wanted{.rlim_cur = std::max(limit.rlim_max, kFilesWanted),
                      .rlim_max = std::max(limit.rlim_max, kFilesWanted)};
  if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
}

}  // namespace postern::bench
