// Where artifact files are: written once, whole, and then only read.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "shared/async/pool.hpp"
#include "shared/base/log.hpp"
#include "shared/http/message.hpp"
#include "shared/io/file.hpp"

namespace postern::cloud {

/// A directory of files named by artifact id. What is being uploaded lives there under another name, so that
/// a crash leaves nothing that looks whole. Thread-safe.
class BlobDirectory {
 public:
  /// `free_bytes_min`: uploads are refused when less would stay free on the disk, so that the stores beside
  /// the blobs can go on writing (decision 2).
  BlobDirectory(std::unique_ptr<Directory> directory, Pool& pool, Log& log, std::uint64_t free_bytes_min);

  /// A file being written. Its pieces are written one after another. What is not committed is removed by
  /// discard(), or at the next start.
  class Upload {
   public:
    /// Blocking. Errors: exhausted (disk full, or the free space would fall below its floor).
    Status write(Bytes piece);
    /// Replaces bytes that were written. Blocking.
    Status overwrite(std::uint64_t offset, Bytes bytes) { return file_->write_at(offset, bytes); }
    /// Reads what was written. Blocking.
    Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) {
      return file_->read_at(offset, out);
    }
    std::uint64_t size() const { return size_; }

   private:
    friend class BlobDirectory;
    Upload(BlobDirectory& owner, std::string name, std::unique_ptr<File> file)
        : owner_(owner), name_(std::move(name)), file_(std::move(file)) {}
    BlobDirectory& owner_;
    std::string name_;
    std::unique_ptr<File> file_;
    std::uint64_t size_ = 0;
    std::uint64_t checked_at_ = 0;
  };

  /// Blocking. `name` is unique among uploads.
  Result<Upload> begin(std::string_view name);
  /// Makes the upload durable under `id`. Blocking.
  Status commit(Upload upload, std::string_view id);
  /// Blocking.
  void discard(Upload upload);
  /// Blocking. Errors: not_found.
  Status erase(std::string_view id);

  /// A body that reads `size` bytes of `id` from `offset` on. Blocking. Errors: not_found.
  Result<std::unique_ptr<http::Body>> read(std::string_view id, std::uint64_t offset, std::uint64_t size);

  /// Removes everything that is not in `ids`: unfinished uploads, and files whose record was never stored or
  /// is gone. Call it before anything else does. Blocking. Errors: those of the directory.
  Status keep_only(const std::set<std::string>& ids);

 private:
  std::unique_ptr<Directory> directory_;
  Pool& pool_;
  Log& log_;
  std::uint64_t free_bytes_min_;
};

}  // namespace postern::cloud
