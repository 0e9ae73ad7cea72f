// Locks between our own processes: who runs as the daemon, and who changes the device.
#pragma once

#include <sys/types.h>

#include <string>

#include "shared/base/result.hpp"

namespace postern::device {

/// Held until it is destroyed, or the process ends. The file says whose it is, and stays.
class FileLock {
 public:
  /// Errors: conflict (held by somebody, who is named), transient.
  static Result<FileLock> take(const std::string& path);
  FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

  /// The process that holds the lock. Errors: not_found (nobody does), transient.
  static Result<pid_t> holder(const std::string& path);

 private:
  explicit FileLock(int file) : file_(file) {}

  int file_;
};

}  // namespace postern::device
