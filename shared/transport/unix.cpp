#include "shared/transport/unix.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>

#include "shared/transport/socket_stream.hpp"

namespace postern {
namespace {

using Local = net::local::stream_protocol;
using UnixStream = detail::SocketStream<Local::socket>;
using detail::use_tuple;
constexpr int kBacklog = 16;

Error to_error(const boost::system::error_code& code, std::string_view context) {
  if (code == net::error::connection_refused) {
    return {Kind::transient, Reason::closed, fmt::format("{}: {}", context, code.message())};
  }
  if (code == net::error::access_denied || code == net::error::no_permission) {
    return rejected(Reason::forbidden, fmt::format("{}: {}", context, code.message()));
  }
  if (code == net::error::operation_aborted) return detail::socket_error(code, context);
  return from_errno(code.value(), context);
}

Result<Local::endpoint> to_endpoint(const std::string& path) {
  // One byte is for the NUL at the end.
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return invalid(
        fmt::format("socket {}: a path of 1 to {} bytes is needed", path, sizeof(sockaddr_un::sun_path) - 1));
  }
  return Local::endpoint(path);
}

class UnixListener final : public Listener {
 public:
  UnixListener(Local::acceptor acceptor, const std::string& path, Log& log)
      : acceptor_(std::move(acceptor)), local_{.host = path, .port = 0}, log_(log) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0) inode_ = status.st_ino;
  }
  ~UnixListener() override { remove(); }

  net::awaitable<Result<std::unique_ptr<Stream>>> accept() override {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(use_tuple);
      if (error) co_return to_error(error, fmt::format("accept at {}", local_.host));
      ucred peer{};
      socklen_t size = sizeof(peer);
      const bool is_known = ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
      if (is_known && (peer.uid == 0 || peer.uid == ::geteuid())) {
        co_return std::make_unique<UnixStream>(std::move(socket),
                                               fmt::format("pid {} of uid {}", peer.pid, peer.uid));
      }
      log_.warn("control.peer_refused", {{"uid", is_known ? std::to_string(peer.uid) : "?"}});
    }
  }
  void close() override {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    remove();
  }
  const Endpoint& local() const override { return local_; }

 private:
  /// Removes the socket unless another one has taken its place.
  void remove() {
    struct stat status{};
    if (inode_ && ::stat(local_.host.c_str(), &status) == 0 && status.st_ino == *inode_) {
      ::unlink(local_.host.c_str());
    }
    inode_.reset();
  }

  Local::acceptor acceptor_;
  Endpoint local_;
  Log& log_;
  std::optional<ino_t> inode_;
};

/// Makes way for a new socket. Errors: conflict.
Status remove_dead(const std::string& path, const net::any_io_executor& executor) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) {
    return conflict(fmt::format("{} is there, and no socket: remove it, or choose another path", path));
  }
  POSTERN_TRY(const Local::endpoint endpoint, to_endpoint(path));
  Local::socket probe(executor);
  boost::system::error_code error;
  probe.connect(endpoint, error);
  if (!error) return conflict(fmt::format("a running process listens at {}", path));
  if (error != net::error::connection_refused) return to_error(error, fmt::format("look at {}", path));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return from_errno(errno, "remove " + path);
  return {};
}

}  // namespace

Result<std::unique_ptr<Listener>> UnixNetwork::listen(const net::any_io_executor& executor,
                                                      const Endpoint& /*at*/) {
  POSTERN_TRY(const Local::endpoint endpoint, to_endpoint(path_));
  POSTERN_CHECK(remove_dead(path_, executor));
  boost::system::error_code error;
  Local::acceptor acceptor(executor);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.bind(endpoint, error);
  // Nobody can connect before listen(), so the mode is there in time.
  if (!error && ::chmod(path_.c_str(), S_IRUSR | S_IWUSR) != 0) {
    error.assign(errno, boost::system::system_category());
  }
  if (!error) acceptor.listen(kBacklog, error);
  if (error) return to_error(error, fmt::format("listen at {}", path_));
  return std::make_unique<UnixListener>(std::move(acceptor), path_, log_);
}

net::awaitable<Result<std::unique_ptr<Stream>>> UnixNetwork::connect(const Endpoint& /*to*/) {
  POSTERN_CO_TRY(const Local::endpoint endpoint, to_endpoint(path_));
  Local::socket socket(co_await net::this_coro::executor);
  const auto [error] = co_await socket.async_connect(endpoint, use_tuple);
  if (error) co_return to_error(error, fmt::format("connect to {}", path_));
  co_return std::make_unique<UnixStream>(std::move(socket), path_);
}

}  // namespace postern
