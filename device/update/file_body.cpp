#include "device/update/file_body.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace postern::device {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;

}  // namespace

FileBody::FileBody(int file, std::string name, std::optional<std::uint64_t> length, Pool& pool)
    : file_(file), name_(std::move(name)), length_(length), pool_(pool), buffer_(kPieceBytes) {}

FileBody::~FileBody() {
  if (file_ != STDIN_FILENO) ::close(file_);
}

Result<std::unique_ptr<FileBody>> FileBody::open(const std::string& path, Pool& pool) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return from_errno(errno, fmt::format("open {}", path));
  struct stat info{};
  if (::fstat(file, &info) != 0 || S_ISDIR(info.st_mode)) {
    ::close(file);
    return invalid(fmt::format("{} is no file", path));
  }
  std::optional<std::uint64_t> length;
  if (S_ISREG(info.st_mode)) length = static_cast<std::uint64_t>(info.st_size);
  return std::unique_ptr<FileBody>(new FileBody(file, path, length, pool));
}

std::unique_ptr<FileBody> FileBody::standard_input(Pool& pool) {
  return std::unique_ptr<FileBody>(new FileBody(STDIN_FILENO, "standard input", std::nullopt, pool));
}

net::awaitable<Result<Bytes>> FileBody::next() {
  const auto read_piece = [this]() -> Result<std::size_t> {
    for (;;) {
      const ssize_t count = ::read(file_, buffer_.data(), buffer_.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) return from_errno(errno, fmt::format("read {}", name_));
    }
  };
  POSTERN_CO_TRY(const std::size_t size, co_await pool_.run(read_piece));
  co_return Bytes(buffer_).first(size);
}

}  // namespace postern::device
