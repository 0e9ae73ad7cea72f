// The directory that an update module works in (device-client 10.3).
#pragma once

#include "device/store/installed.hpp"
#include "shared/base/bytes.hpp"

namespace postern::device {

/// What was on the device before the update, as the module is told.
struct TreeFacts {
  Installed installed;
  std::string device_type;
};

/// Removes whatever is at `tree` and builds it anew, durable when this returns. Errors: exhausted, transient.
Status build_tree(const std::string& tree, const TreeFacts& facts, const ArtifactHeader& header);

/// That there is none is fine. Errors: transient.
Status remove_tree(const std::string& tree);

bool has_tree(const std::string& tree);

/// A file in the making; a path that exists is refused. Mode 0644.
class NewFile {
 public:
  static Result<NewFile> create(const std::string& path);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();
  Status write(Bytes bytes);
  /// Makes the content durable.
  Status sync();

 private:
  NewFile(std::string path, int file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  int file_;
};

/// Makes the names in a directory durable.
Status sync_directory(const std::string& path);

}  // namespace postern::device
