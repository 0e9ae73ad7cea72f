// The writing end of a named pipe.
#pragma once

#include <memory>

#include "shared/base/bytes.hpp"
#include "shared/base/clock.hpp"

namespace postern::device {

/// Makes a named pipe of mode 0600. Errors: conflict (the path exists), transient.
Status make_fifo(const std::string& path);

/// Runs on: one executor.
class FifoWriter {
 public:
  /// Waits until somebody has opened the pipe for reading. Errors: cancelled, transient.
  static net::awaitable<Result<FifoWriter>> open(std::string path, Clock& clock);
  FifoWriter(FifoWriter&&) noexcept;
  FifoWriter& operator=(FifoWriter&&) noexcept;
  /// Closes: the reader sees the end.
  ~FifoWriter();

  /// Writes all of `bytes`, as fast as the reader takes them. Errors: transient with closed (the reader has
  /// gone), cancelled.
  net::awaitable<Status> write(Bytes bytes);

 private:
  struct Implementation;
  explicit FifoWriter(std::unique_ptr<Implementation> implementation);

  std::unique_ptr<Implementation> implementation_;
};

}  // namespace postern::device
