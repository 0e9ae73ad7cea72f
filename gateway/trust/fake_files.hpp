// Files that exist in a test only.
#pragma once

#include <map>

#include "gateway/trust/files.hpp"

namespace postern::gateway {

class FakeFiles final : public FileView {
 public:
  void write(const std::string& path, std::string text) {
    files_[path] = {.text = std::move(text), .stamp = {.inode = 1, .modified_ns = ++changes_}};
  }
  void remove(const std::string& path) { files_.erase(path); }
  void make_unreadable(const std::string& path) { files_.at(path).is_readable = false; }

  Result<FileStamp> stamp(const std::string& path) override {
    if (const auto found = files_.find(path); found != files_.end()) return found->second.stamp;
    if (!names_in(path).empty()) return FileStamp{.is_directory = true};
    return not_found(path);
  }
  Result<std::string> read(const std::string& path, std::size_t size_max) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return not_found(path);
    if (!found->second.is_readable) return transient("input/output error");
    if (found->second.text.size() > size_max) return rejected(Reason::too_large, path);
    return found->second.text;
  }
  Result<std::vector<std::string>> list(const std::string& directory) override { return names_in(directory); }

 private:
  struct Entry {
    std::string text;
    FileStamp stamp;
    bool is_readable = true;
  };
  std::vector<std::string> names_in(const std::string& directory) const {
    std::vector<std::string> names;
    for (const auto& [path, entry] : files_) {
      if (path.starts_with(directory + "/")) names.push_back(path.substr(directory.size() + 1));
    }
    return names;
  }

  std::map<std::string, Entry> files_;
  std::int64_t changes_ = 0;
};

}  // namespace postern::gateway
