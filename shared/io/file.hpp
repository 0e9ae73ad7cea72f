// The file system as something passed in: a directory that is owned, and the files in it.
//
// Every call may block; run them on the pool. Names are single path components, never paths: a name with a
// slash,
// "." or ".." is refused, so that nothing that comes from outside can leave the directory.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/bytes.hpp"

namespace postern {

/// An open file. Not thread-safe, except that read_at may run beside other read_at calls.
class File {
 public:
  virtual ~File() = default;
  /// Reads up to `out.size()` bytes at `offset`. Returns the count; fewer than asked only at the end of the
  /// file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) = 0;
  /// Writes all of `bytes` at `offset`. Errors: exhausted (disk full), transient.
  virtual Status write_at(std::uint64_t offset, Bytes bytes) = 0;
  virtual Result<std::uint64_t> size() = 0;
  /// Makes content and size durable.
  virtual Status sync() = 0;
};

/// A directory. Thread-safe.
class Directory {
 public:
  virtual ~Directory() = default;
  /// Errors: not_found.
  virtual Result<std::unique_ptr<File>> open(std::string_view name) = 0;
  /// Makes a file of mode 0600. Errors: conflict (it exists), exhausted.
  virtual Result<std::unique_ptr<File>> create(std::string_view name) = 0;
  /// Moves `from` to `to`, replacing it. Durable after sync().
  virtual Status rename(std::string_view from, std::string_view to) = 0;
  /// Removes a file; not_found when there is none. Durable after sync().
  virtual Status remove(std::string_view name) = 0;
  /// Names of all files, sorted.
  virtual Result<std::vector<std::string>> list() = 0;
  /// Free space on the directory's disk, in bytes.
  virtual Result<std::uint64_t> free_bytes() = 0;
  /// Makes names durable: what was created, renamed and removed.
  virtual Status sync() = 0;
};

/// A directory of the machine; made with mode 0700 when missing. Errors: transient, exhausted.
Result<std::unique_ptr<Directory>> open_directory(const std::string& path);

/// Opens a file of the machine for reading. Errors: not_found, transient.
Result<std::unique_ptr<File>> open_file(const std::string& path);

/// Reads a whole file of the machine. Errors: not_found, too_large beyond `size_max`.
Result<std::string> read_file(const std::string& path, std::size_t size_max = 16 << 20);

enum class Existing { refuse, replace };
/// Writes a file of the machine so that after a power cut it is there whole or not at all: temporary sibling,
/// sync, rename, sync of the directory. The temporary file has `mode` from its first byte on. Errors:
/// conflict (exists, and Existing::refuse), exhausted, transient.
Status write_file(const std::string& path, std::string_view content, unsigned mode, Existing existing);

}  // namespace postern
