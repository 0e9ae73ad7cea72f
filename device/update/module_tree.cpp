#include "device/update/module_tree.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "device/update/pretty_json.hpp"

namespace postern::device {
namespace {

constexpr mode_t kFileMode = 0644;

Status write_whole(const std::string& path, std::string_view content) {
  POSTERN_TRY(auto file, NewFile::create(path));
  POSTERN_CHECK(file.write(as_bytes(content)));
  return file.sync();
}

Status make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return from_errno(error.value(), fmt::format("make directory {}", path));
  return {};
}

/// Values end with a newline, one that is not there is an empty file.
std::string line(const std::string& value) {
  return value.empty() ? value : value + '\n';
}

Status write_header(const std::string& directory, const ArtifactHeader& header) {
  POSTERN_TRY(const std::string header_info, pretty_json(header.header_info));
  POSTERN_TRY(const std::string type_info, pretty_json(header.type_info));
  POSTERN_TRY(const std::string meta_data, pretty_json(header.meta_data.empty() ? "null" : header.meta_data));
  POSTERN_CHECK(make_directory(directory));
  POSTERN_CHECK(write_whole(directory + "/artifact_name", header.name));
  POSTERN_CHECK(write_whole(directory + "/artifact_group", header.group));
  POSTERN_CHECK(write_whole(directory + "/payload_type", header.payload_type.value_or("")));
  POSTERN_CHECK(write_whole(directory + "/header-info", header_info));
  POSTERN_CHECK(write_whole(directory + "/type-info", type_info));
  POSTERN_CHECK(write_whole(directory + "/meta-data", meta_data));
  return sync_directory(directory);
}

}  // namespace

Status build_tree(const std::string& tree, const TreeFacts& facts, const ArtifactHeader& header) {
  POSTERN_CHECK(remove_tree(tree));
  for (const char* name : {"", "/files", "/tmp"}) POSTERN_CHECK(make_directory(tree + name));
  POSTERN_CHECK(write_whole(tree + "/version", "3\n"));
  POSTERN_CHECK(write_whole(tree + "/current_artifact_name", line(facts.installed.name)));
  POSTERN_CHECK(write_whole(tree + "/current_artifact_group", line(facts.installed.group)));
  POSTERN_CHECK(write_whole(tree + "/current_device_type", line(facts.device_type)));
  POSTERN_CHECK(write_header(tree + "/header", header));
  POSTERN_CHECK(sync_directory(tree));
  return sync_directory(std::filesystem::path(tree).parent_path());
}

Status remove_tree(const std::string& tree) {
  std::error_code error;
  std::filesystem::remove_all(tree, error);
  if (error) return from_errno(error.value(), fmt::format("remove {}", tree));
  return {};
}

bool has_tree(const std::string& tree) {
  std::error_code error;
  return std::filesystem::is_directory(tree, error);
}

Result<NewFile> NewFile::create(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode);
  if (file < 0) return from_errno(errno, fmt::format("create {}", path));
  return NewFile(path, file);
}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}

NewFile::~NewFile() {
  if (file_ >= 0) ::close(file_);
}

Status NewFile::write(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return from_errno(errno, fmt::format("write {}", path_));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status NewFile::sync() {
  if (::fsync(file_) != 0) return from_errno(errno, fmt::format("sync {}", path_));
  return {};
}

Status sync_directory(const std::string& path) {
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return from_errno(errno, fmt::format("open directory {}", path));
  const int result = ::fsync(directory);
  const int error_number = errno;
  ::close(directory);
  if (result != 0) return from_errno(error_number, fmt::format("sync directory {}", path));
  return {};
}

}  // namespace postern::device
