// A connected stream socket of the machine, whatever its family. Used by tcp.cpp and unix.cpp only.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "shared/transport/stream.hpp"

namespace postern::detail {

inline constexpr auto use_tuple = net::as_tuple(net::use_awaitable);

/// What went wrong with a socket: cancelled; closed, when the connection is gone; else transient.
Error socket_error(const boost::system::error_code& code, std::string_view context);

template <class Socket>
class SocketStream final : public Stream {
 public:
  SocketStream(Socket socket, std::string peer) : socket_(std::move(socket)), peer_(std::move(peer)) {}

  net::awaitable<Result<std::size_t>> read_some(MutableBytes out) override {
    const auto [error, count] =
        co_await socket_.async_read_some(net::buffer(out.data(), out.size()), use_tuple);
    if (error == net::error::eof) co_return std::size_t{0};
    if (error) co_return socket_error(error, fmt::format("read from {}", peer_));
    co_return count;
  }
  net::awaitable<Status> write(std::span<const Bytes> pieces) override {
    std::vector<net::const_buffer> buffers;
    buffers.reserve(pieces.size());
    for (const Bytes piece : pieces) buffers.emplace_back(piece.data(), piece.size());
    const auto [error, count] = co_await net::async_write(socket_, buffers, use_tuple);
    if (error) co_return socket_error(error, fmt::format("write to {}", peer_));
    co_return Status{};
  }
  Result<std::size_t> write_now(Bytes bytes) override {
    const ssize_t count =
        ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::size_t{0};
    return socket_error({errno, boost::system::system_category()}, fmt::format("write to {}", peer_));
  }
  net::awaitable<Status> writable() override {
    // To wait costs a turn of the loop, and most of the time there is no need. Asio's wait also ends at
    // events that are over, so that it is looked at again.
    while (!has_room()) {
      const auto [error] = co_await socket_.async_wait(Socket::wait_write, use_tuple);
      if (error) co_return socket_error(error, fmt::format("write to {}", peer_));
    }
    co_return Status{};
  }
  net::awaitable<Status> readable() override {
    const auto [error] = co_await socket_.async_wait(Socket::wait_read, use_tuple);
    if (error) co_return socket_error(error, fmt::format("read from {}", peer_));
    co_return Status{};
  }
  net::awaitable<Status> shutdown() override {
    boost::system::error_code error;
    socket_.shutdown(Socket::shutdown_send, error);
    if (error) co_return socket_error(error, fmt::format("shut down {}", peer_));
    co_return Status{};
  }
  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  void abort() override {
    boost::system::error_code ignored;
    socket_.set_option(net::socket_base::linger(true, 0), ignored);  // a reset instead of an orderly end
    socket_.close(ignored);
  }
  const std::string& peer() const override { return peer_; }
  net::any_io_executor executor() const override {
    return const_cast<Socket&>(socket_).get_executor();  // Asio forgot the const
  }

 private:
  /// Also true for a connection that has failed: writing to it says how.
  bool has_room() {
    pollfd now{.fd = socket_.native_handle(), .events = POLLOUT, .revents = 0};
    return ::poll(&now, 1, 0) != 0;
  }

  Socket socket_;
  std::string peer_;
};

}  // namespace postern::detail
