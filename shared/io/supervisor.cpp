#include "shared/io/supervisor.hpp"

#include <charconv>
#include <cstring>
#include <ctime>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/io/descriptor.hpp"

namespace postern {
namespace {

std::optional<std::int64_t> number_of(const std::optional<std::string>& text) {
  std::int64_t value = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value <= 0) return std::nullopt;
  return value;
}

/// CLOCK_MONOTONIC in microseconds, which the manager orders a reload by.
std::int64_t monotonic_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

Supervisor::Supervisor(const Environment& environment) {
  const std::string address = environment("NOTIFY_SOCKET").value_or("");
  // "@" begins a name in the abstract namespace. Other families, as vsock, are for managers of machines.
  if (address.starts_with('/') || address.starts_with('@')) address_ = address;
  const auto interval = number_of(environment("WATCHDOG_USEC"));
  const auto pid = environment("WATCHDOG_PID");
  if (is_there() && interval && (!pid || number_of(pid) == std::int64_t{::getpid()})) {
    watchdog_ = std::chrono::microseconds(*interval);
  }
}

Status Supervisor::ready(std::string_view status) const {
  return send(fmt::format("READY=1\nSTATUS={}", status));
}

Status Supervisor::reloading() const {
  return send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds()));
}

Status Supervisor::stopping() const {
  return send("STOPPING=1\nSTATUS=Stopping");
}

Status Supervisor::alive() const {
  return send("WATCHDOG=1");
}

Status Supervisor::send(std::string_view message) const {
  if (!is_there()) return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (address_.size() >= sizeof(address.sun_path)) return invalid("NOTIFY_SOCKET is too long");
  std::memcpy(address.sun_path, address_.data(), address_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return from_errno(errno, "make a socket for the service manager");
  if (::sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return from_errno(errno, "tell the service manager");
  }
  return {};
}

}  // namespace postern
