// A file descriptor that is closed by its owner's end.
#pragma once

#include <utility>

#include <unistd.h>

namespace postern {

/// Owns one descriptor, or none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Gives it away.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace postern
