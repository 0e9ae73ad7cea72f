#include "shared/transport/tcp.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace postern {
namespace {

using net::ip::tcp;
constexpr auto use_tuple = net::as_tuple(net::use_awaitable);
constexpr int kBacklog = 4096;

Error to_error(const boost::system::error_code& code, std::string_view context) {
  if (code == net::error::operation_aborted) return cancelled(std::string(context));
  if (code == net::error::connection_reset || code == net::error::broken_pipe || code == net::error::eof ||
      code == net::error::bad_descriptor) {
    return {Kind::transient, Reason::closed, fmt::format("{}: {}", context, code.message())};
  }
  if (code == net::error::address_in_use) return conflict(fmt::format("{}: {}", context, code.message()));
  if (code == boost::system::errc::too_many_files_open ||
      code == boost::system::errc::too_many_files_open_in_system) {
    return exhausted(fmt::format("{}: {}", context, code.message()));
  }
  return transient(fmt::format("{}: {}", context, code.message()));
}

std::string describe(const tcp::endpoint& endpoint) {
  return Endpoint{endpoint.address().to_string(), endpoint.port()}.to_string();
}

class TcpStream final : public Stream {
 public:
  explicit TcpStream(tcp::socket socket) : socket_(std::move(socket)) {
    boost::system::error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    const auto remote = socket_.remote_endpoint(ignored);
    peer_ = describe(remote);
  }

  net::awaitable<Result<std::size_t>> read_some(MutableBytes out) override {
    const auto [error, count] =
        co_await socket_.async_read_some(net::buffer(out.data(), out.size()), use_tuple);
    if (error == net::error::eof) co_return std::size_t{0};
    if (error) co_return to_error(error, fmt::format("read from {}", peer_));
    co_return count;
  }
  net::awaitable<Status> write(std::span<const Bytes> pieces) override {
    std::vector<net::const_buffer> buffers;
    buffers.reserve(pieces.size());
    for (const Bytes piece : pieces) buffers.emplace_back(piece.data(), piece.size());
    const auto [error, count] = co_await net::async_write(socket_, buffers, use_tuple);
    if (error) co_return to_error(error, fmt::format("write to {}", peer_));
    co_return Status{};
  }
  Result<std::size_t> write_now(Bytes bytes) override {
    const ssize_t count =
        ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::size_t{0};
    return to_error({errno, boost::system::system_category()}, fmt::format("write to {}", peer_));
  }
  net::awaitable<Status> readable() override {
    const auto [error] = co_await socket_.async_wait(tcp::socket::wait_read, use_tuple);
    if (error) co_return to_error(error, fmt::format("read from {}", peer_));
    co_return Status{};
  }
  net::awaitable<Status> shutdown() override {
    boost::system::error_code error;
    socket_.shutdown(tcp::socket::shutdown_send, error);
    if (error) co_return to_error(error, fmt::format("shut down {}", peer_));
    co_return Status{};
  }
  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  void abort() override {
    boost::system::error_code ignored;
    socket_.set_option(tcp::socket::linger(true, 0), ignored);  // a reset instead of an orderly end
    socket_.close(ignored);
  }
  const std::string& peer() const override { return peer_; }
  net::any_io_executor executor() const override {
    return const_cast<tcp::socket&>(socket_).get_executor();  // Asio forgot the const
  }

 private:
  tcp::socket socket_;
  std::string peer_;
};

class TcpListener final : public Listener {
 public:
  explicit TcpListener(tcp::acceptor acceptor) : acceptor_(std::move(acceptor)) {
    const auto endpoint = acceptor_.local_endpoint();
    local_ = {endpoint.address().to_string(), endpoint.port()};
  }

  net::awaitable<Result<std::unique_ptr<Stream>>> accept() override {
    auto [error, socket] = co_await acceptor_.async_accept(use_tuple);
    if (error) co_return to_error(error, fmt::format("accept at {}", local_.to_string()));
    co_return std::make_unique<TcpStream>(std::move(socket));
  }
  void close() override {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }
  const Endpoint& local() const override { return local_; }

 private:
  tcp::acceptor acceptor_;
  Endpoint local_;
};

using reuse_port = net::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

Result<tcp::endpoint> resolve_local(const Endpoint& at) {
  boost::system::error_code error;
  const auto address = net::ip::make_address(at.host == "localhost" ? "127.0.0.1" : at.host, error);
  if (error) return invalid(fmt::format("listen at {}: \"{}\" is not an address", at.to_string(), at.host));
  return tcp::endpoint(address, at.port);
}

}  // namespace

Result<std::unique_ptr<Listener>> SystemNetwork::listen(const net::any_io_executor& executor,
                                                        const Endpoint& at) {
  POSTERN_TRY(const tcp::endpoint endpoint, resolve_local(at));
  const std::string context = fmt::format("listen at {}", at.to_string());
  boost::system::error_code error;
  tcp::acceptor acceptor(executor);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.set_option(reuse_port(true), error);
  if (!error && endpoint.protocol() == tcp::v6()) acceptor.set_option(net::ip::v6_only(false), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) return to_error(error, context);
  return std::make_unique<TcpListener>(std::move(acceptor));
}

net::awaitable<Result<std::unique_ptr<Stream>>> SystemNetwork::connect(const Endpoint& to) {
  const auto executor = co_await net::this_coro::executor;
  const std::string context = fmt::format("connect to {}", to.to_string());
  tcp::resolver resolver(executor);
  const auto [unresolved, addresses] =
      co_await resolver.async_resolve(to.host, std::to_string(to.port), use_tuple);
  if (unresolved) co_return to_error(unresolved, context);
  tcp::socket socket(executor);
  const auto [error, endpoint] = co_await net::async_connect(socket, addresses, use_tuple);
  if (error) co_return to_error(error, context);
  co_return std::make_unique<TcpStream>(std::move(socket));
}

}  // namespace postern
