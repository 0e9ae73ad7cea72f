#include "device/store/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace postern::device {
namespace {

Result<pid_t> read_pid(int file, const std::string& path) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  if (size < 0) return from_errno(errno, fmt::format("read {}", path));
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + size, pid);
  if (error != std::errc{} || pid <= 0) return corrupt(fmt::format("{} does not name a process", path));
  return pid;
}

}  // namespace

Result<FileLock> FileLock::take(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return from_errno(errno, fmt::format("open {}", path));
  FileLock lock(file);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return from_errno(errno, fmt::format("lock {}", path));
    const auto pid = read_pid(file, path);
    return conflict(pid ? fmt::format("{} is held by process {}", path, *pid)
                        : fmt::format("{} is held by another process", path));
  }
  const std::string text = fmt::format("{}\n", ::getpid());
  // In this order a file that is there already needs no new space, so a full disk does not keep the daemon
  // down.
  const auto size = static_cast<off_t>(text.size());
  if (::pwrite(file, text.data(), text.size(), 0) != size || ::ftruncate(file, size) != 0) {
    return from_errno(errno, fmt::format("write {}", path));
  }
  return lock;
}

FileLock::~FileLock() {
  if (file_ >= 0) ::close(file_);
}

Result<pid_t> FileLock::holder(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return from_errno(errno, fmt::format("open {}", path));
  const FileLock closing(file);
  if (::flock(file, LOCK_SH | LOCK_NB) == 0) return not_found(fmt::format("nobody holds {}", path));
  if (errno != EWOULDBLOCK) return from_errno(errno, fmt::format("lock {}", path));
  return read_pid(file, path);
}

}  // namespace postern::device
