#include "device/update/fifo.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace postern::device {
namespace {

/// The kernel does not tell a writer that a reader has come, except by letting it open the pipe.
constexpr auto kOpenWaitMin = std::chrono::milliseconds(1);
constexpr auto kOpenWaitMax = std::chrono::milliseconds(50);

}  // namespace

struct FifoWriter::Implementation {
  std::string path;
  net::posix::stream_descriptor descriptor;
};

Status make_fifo(const std::string& path) {
  if (::mkfifo(path.c_str(), 0600) == 0) return {};
  if (errno == EEXIST) return conflict(fmt::format("make pipe {}: it exists already", path));
  return from_errno(errno, fmt::format("make pipe {}", path));
}

FifoWriter::FifoWriter(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
FifoWriter::FifoWriter(FifoWriter&&) noexcept = default;
FifoWriter& FifoWriter::operator=(FifoWriter&&) noexcept = default;
FifoWriter::~FifoWriter() = default;

net::awaitable<Result<FifoWriter>> FifoWriter::open(std::string path, Clock& clock) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  for (Duration wait = kOpenWaitMin;; wait = std::min<Duration>(2 * wait, kOpenWaitMax)) {
    const int file = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (file >= 0) {
      net::posix::stream_descriptor descriptor(executor, file);
      co_return FifoWriter(std::make_unique<Implementation>(std::move(path), std::move(descriptor)));
    }
    if (errno != ENXIO && errno != EINTR) co_return from_errno(errno, fmt::format("open pipe {}", path));
    POSTERN_CO_CHECK(co_await clock.sleep(wait));
  }
}

net::awaitable<Status> FifoWriter::write(Bytes bytes) {
  const auto [error, count] =
      co_await net::async_write(implementation_->descriptor, net::buffer(bytes.data(), bytes.size()),
                                net::as_tuple(net::use_awaitable));
  if (!error) co_return Status{};
  if (error == net::error::operation_aborted) co_return cancelled("write to a pipe");
  Error failure = transient(fmt::format("write to pipe {}: {}", implementation_->path, error.message()));
  if (error == net::error::broken_pipe) failure.reason = Reason::closed;
  co_return failure;
}

}  // namespace postern::device
