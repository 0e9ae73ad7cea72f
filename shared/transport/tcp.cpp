#include "shared/transport/tcp.hpp"

#include <netinet/tcp.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/this_coro.hpp>

#include "shared/transport/socket_stream.hpp"

namespace postern {

Error detail::socket_error(const boost::system::error_code& code, std::string_view context) {
  if (code == net::error::operation_aborted) return cancelled(std::string(context));
  if (code == net::error::connection_reset || code == net::error::broken_pipe || code == net::error::eof ||
      code == net::error::bad_descriptor) {
    return {Kind::transient, Reason::closed, fmt::format("{}: {}", context, code.message())};
  }
  return transient(fmt::format("{}: {}", context, code.message()));
}

namespace {

using detail::use_tuple;
using net::ip::tcp;
constexpr int kBacklog = 4096;

Error to_error(const boost::system::error_code& code, std::string_view context) {
  if (code == net::error::address_in_use) return conflict(fmt::format("{}: {}", context, code.message()));
  if (code == boost::system::errc::too_many_files_open ||
      code == boost::system::errc::too_many_files_open_in_system) {
    return exhausted(fmt::format("{}: {}", context, code.message()));
  }
  return detail::socket_error(code, context);
}

std::string describe(const tcp::endpoint& endpoint) {
  return Endpoint{endpoint.address().to_string(), endpoint.port()}.to_string();
}

using unsent_max = net::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;

std::unique_ptr<Stream> make_stream(tcp::socket socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(unsent_max(Stream::kUnsentBytesMax), ignored);
  std::string peer = describe(socket.remote_endpoint(ignored));
  return std::make_unique<detail::SocketStream<tcp::socket>>(std::move(socket), std::move(peer));
}

class TcpListener final : public Listener {
 public:
  explicit TcpListener(tcp::acceptor acceptor) : acceptor_(std::move(acceptor)) {
    const auto endpoint = acceptor_.local_endpoint();
    local_ = {endpoint.address().to_string(), endpoint.port()};
  }

  net::awaitable<Result<std::unique_ptr<Stream>>> accept() override {
    auto [error, socket] = co_await acceptor_.async_accept(use_tuple);
    if (error) co_return to_error(error, fmt::format("accept at {}", local_.to_string()));
    co_return make_stream(std::move(socket));
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
  co_return make_stream(std::move(socket));
}

}  // namespace postern
