// Files that are read again when they change.
//
// They are looked at once a second rather than watched with inotify: that works on every file system, through
// symbolic links that are exchanged and directories that are mounted anew, and loses no event; a look costs
// one stat() for each file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/result.hpp"

namespace postern::gateway {

/// What changes whenever somebody writes a file or puts another in its place.
struct FileStamp {
  bool is_directory = false;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;

  bool operator==(const FileStamp&) const = default;
};

/// The machine's files, or a test's. Blocking. Symbolic links are followed.
class FileView {
 public:
  virtual ~FileView() = default;
  /// Errors: not_found, transient.
  virtual Result<FileStamp> stamp(const std::string& path) = 0;
  /// Errors: those of read_file.
  virtual Result<std::string> read(const std::string& path, std::size_t size_max) = 0;
  /// Names in a directory, sorted. Errors: not_found, transient.
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
};

class SystemFiles final : public FileView {
 public:
  Result<FileStamp> stamp(const std::string& path) override;
  Result<std::string> read(const std::string& path, std::size_t size_max) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
};

struct FileContent {
  std::string path;
  Result<std::string> text;
};

/// Files that only mean something together. A directory stands for the files in it whose names end in .crl,
/// .pem, .der or, as OpenSSL's rehash makes them, .r0 to .r9. Not thread-safe.
class WatchedFiles {
 public:
  static constexpr std::size_t kFilesMax = 1000;

  WatchedFiles(std::vector<std::string> paths, std::size_t size_max)
      : paths_(std::move(paths)), size_max_(size_max) {}

  /// Whether they should be read: they have changed since that was last so, and look as they did at the last
  /// look. So whoever writes in place has a second to finish; who keeps writing is not waited for.
  bool look(FileView& files);
  /// Reads them all, in their order.
  std::vector<FileContent> read(FileView& files);

 private:
  using Stamps = std::vector<std::pair<std::string, std::optional<FileStamp>>>;

  Stamps stamps(FileView& files) const;

  const std::vector<std::string> paths_;
  const std::size_t size_max_;
  Stamps read_;  ///< when they were last found worth reading
  Stamps seen_;  ///< at the last look
  int restless_looks_ = 0;
};

}  // namespace postern::gateway
