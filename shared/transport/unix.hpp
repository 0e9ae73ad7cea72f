// Sockets in the file system, for those who operate a program on its own machine.
#pragma once

#include "shared/base/log.hpp"
#include "shared/transport/stream.hpp"

namespace postern {

/// One socket at a path; the endpoints of the calls are not looked at. Only the superuser and the user who
/// listens get in: the socket has mode 0600, and the credentials of every peer are checked besides. What a
/// dead process left at the path is replaced.
class UnixNetwork final : public Network {
 public:
  /// Refused peers are logged, "control.peer_refused".
  UnixNetwork(std::string path, Log& log) : path_(std::move(path)), log_(log) {}

  /// Blocking for a moment. One listener at a time. Errors: conflict (a process listens there, or the path is
  /// something else than a socket), invalid (the path is too long), not_found (no such directory).
  Result<std::unique_ptr<Listener>> listen(const net::any_io_executor& executor, const Endpoint& at) override;
  /// Errors: not_found (nobody has made the socket); transient, closed (nobody listens any more); forbidden.
  net::awaitable<Result<std::unique_ptr<Stream>>> connect(const Endpoint& to) override;

 private:
  const std::string path_;
  Log& log_;
};

}  // namespace postern
