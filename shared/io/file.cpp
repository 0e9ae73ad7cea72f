#include "shared/io/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "shared/io/descriptor.hpp"

namespace postern {
namespace {

Status write_all(int fd, std::uint64_t offset, Bytes bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) continue;
      return from_errno(errno, fmt::format("write {}", name));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override {
    std::size_t total = 0;
    while (total < out.size()) {
      const ssize_t count =
          ::pread(fd_.get(), out.data() + total, out.size() - total, static_cast<off_t>(offset + total));
      if (count < 0) {
        if (errno == EINTR) continue;
        return from_errno(errno, fmt::format("read {}", name_));
      }
      if (count == 0) break;
      total += static_cast<std::size_t>(count);
    }
    return total;
  }
  Status write_at(std::uint64_t offset, Bytes bytes) override {
    return write_all(fd_.get(), offset, bytes, name_);
  }
  Result<std::uint64_t> size() override {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return from_errno(errno, fmt::format("stat {}", name_));
    return static_cast<std::uint64_t>(info.st_size);
  }
  Status sync() override {
    if (::fsync(fd_.get()) != 0) return from_errno(errno, fmt::format("sync {}", name_));
    return {};
  }

 private:
  Descriptor fd_;
  std::string name_;
};

Status check_name(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos) {
    return invalid(fmt::format("\"{}\" is not a plain file name", name));
  }
  return {};
}

class PosixDirectory final : public Directory {
 public:
  PosixDirectory(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::unique_ptr<File>> open(std::string_view name) override { return open_with(name, O_RDWR); }
  Result<std::unique_ptr<File>> create(std::string_view name) override {
    return open_with(name, O_RDWR | O_CREAT | O_EXCL);
  }
  Status rename(std::string_view from, std::string_view to) override {
    POSTERN_CHECK(check_name(from));
    POSTERN_CHECK(check_name(to));
    if (::renameat(fd_.get(), std::string(from).c_str(), fd_.get(), std::string(to).c_str()) != 0) {
      return from_errno(errno, fmt::format("rename {} to {} in {}", from, to, path_));
    }
    return {};
  }
  Status remove(std::string_view name) override {
    POSTERN_CHECK(check_name(name));
    if (::unlinkat(fd_.get(), std::string(name).c_str(), 0) != 0) {
      return from_errno(errno, fmt::format("remove {} in {}", name, path_));
    }
    return {};
  }
  Result<std::vector<std::string>> list() override {
    std::error_code error;
    std::vector<std::string> names;
    for (auto it = std::filesystem::directory_iterator(path_, error);
         !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return from_errno(error.value(), fmt::format("list {}", path_));
    std::ranges::sort(names);
    return names;
  }
  Result<std::uint64_t> free_bytes() override {
    struct statvfs info{};
    if (::fstatvfs(fd_.get(), &info) != 0) return from_errno(errno, fmt::format("look at {}", path_));
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  }
  Status sync() override {
    if (::fsync(fd_.get()) != 0) return from_errno(errno, fmt::format("sync {}", path_));
    return {};
  }

 private:
  Result<std::unique_ptr<File>> open_with(std::string_view name, int flags) {
    POSTERN_CHECK(check_name(name));
    const std::string text(name);
    Descriptor file(::openat(fd_.get(), text.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return from_errno(errno, fmt::format("open {}/{}", path_, name));
    return std::make_unique<PosixFile>(std::move(file), fmt::format("{}/{}", path_, name));
  }

  Descriptor fd_;
  std::string path_;
};

Result<Descriptor> open_directory_fd(const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return from_errno(errno, fmt::format("open directory {}", path));
  return fd;
}

}  // namespace

Result<std::unique_ptr<Directory>> open_directory(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return from_errno(error.value(), fmt::format("make directory {}", parent.string()));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return from_errno(errno, fmt::format("make directory {}", path));
  }
  POSTERN_TRY(Descriptor fd, open_directory_fd(path));
  return std::make_unique<PosixDirectory>(std::move(fd), path);
}

Result<std::unique_ptr<File>> open_file(const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return from_errno(errno, fmt::format("open {}", path));
  return std::make_unique<PosixFile>(std::move(fd), path);
}

Result<std::string> read_file(const std::string& path, std::size_t size_max) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return from_errno(errno, fmt::format("open {}", path));
  std::string content;
  std::array<char, 16 << 10> buffer;
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return from_errno(errno, fmt::format("read {}", path));
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
    if (content.size() > size_max) {
      return rejected(Reason::too_large, fmt::format("{} is larger than {} bytes", path, size_max));
    }
  }
}

Status write_file(const std::string& path, std::string_view content, unsigned mode, Existing existing) {
  const std::filesystem::path target(path);
  const std::string parent = target.has_parent_path() ? target.parent_path().string() : ".";
  POSTERN_TRY(const Descriptor directory, open_directory_fd(parent));
  const std::string temporary = fmt::format("{}.tmp{}", path, ::getpid());
  Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return from_errno(errno, fmt::format("create {}", temporary));
  Status written = write_all(fd.get(), 0, as_bytes(content), temporary);
  if (written && ::fchmod(fd.get(), mode) != 0)
    written = from_errno(errno, fmt::format("chmod {}", temporary));
  if (written && ::fsync(fd.get()) != 0) written = from_errno(errno, fmt::format("sync {}", temporary));
  if (written) {
    // link() refuses an existing target where rename() would replace it.
    const int moved = existing == Existing::refuse ? ::link(temporary.c_str(), path.c_str())
                                                   : ::rename(temporary.c_str(), path.c_str());
    if (moved != 0) written = from_errno(errno, fmt::format("write {}", path));
  }
  if (!written || existing == Existing::refuse) ::unlink(temporary.c_str());
  POSTERN_CHECK(std::move(written));
  if (::fsync(directory.get()) != 0) return from_errno(errno, fmt::format("sync {}", parent));
  return {};
}

}  // namespace postern
