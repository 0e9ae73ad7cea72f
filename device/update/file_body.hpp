// An artifact from a file or from a pipe.
#pragma once

#include "shared/async/pool.hpp"
#include "shared/http/message.hpp"

namespace postern::device {

/// Reads to the end of the file, on a thread of the pool, because disks and pipes make their readers wait.
class FileBody final : public http::Body {
 public:
  /// Errors: not_found, transient, invalid (a directory).
  static Result<std::unique_ptr<FileBody>> open(const std::string& path, Pool& pool);
  static std::unique_ptr<FileBody> standard_input(Pool& pool);
  ~FileBody() override;
  FileBody(const FileBody&) = delete;
  FileBody& operator=(const FileBody&) = delete;

  std::optional<std::uint64_t> length() const override { return length_; }
  net::awaitable<Result<Bytes>> next() override;

 private:
  FileBody(int file, std::string name, std::optional<std::uint64_t> length, Pool& pool);

  const int file_;
  const std::string name_;
  const std::optional<std::uint64_t> length_;
  Pool& pool_;
  std::vector<std::byte> buffer_;
};

}  // namespace postern::device
