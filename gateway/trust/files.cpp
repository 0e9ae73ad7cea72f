#include "gateway/trust/files.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "shared/io/file.hpp"

namespace postern::gateway {
namespace {

constexpr int kRestlessLooksMax = 2;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool is_list_name(std::string_view name) {
  if (name.starts_with('.')) return false;
  if (name.ends_with(".crl") || name.ends_with(".pem") || name.ends_with(".der")) return true;
  return name.size() > 3 && name.substr(name.size() - 3, 2) == ".r" && name.back() >= '0' &&
         name.back() <= '9';
}

}  // namespace

Result<FileStamp> SystemFiles::stamp(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return from_errno(errno, fmt::format("stat {}", path));
  return FileStamp{.is_directory = S_ISDIR(info.st_mode),
                   .device = info.st_dev,
                   .inode = info.st_ino,
                   .size = static_cast<std::uint64_t>(info.st_size),
                   .modified_ns = nanoseconds(info.st_mtim),
                   .changed_ns = nanoseconds(info.st_ctim)};
}

Result<std::string> SystemFiles::read(const std::string& path, std::size_t size_max) {
  return read_file(path, size_max);
}

Result<std::vector<std::string>> SystemFiles::list(const std::string& directory) {
  struct Close {
    void operator()(DIR* open) const { ::closedir(open); }
  };
  const std::unique_ptr<DIR, Close> open(::opendir(directory.c_str()));
  if (!open) return from_errno(errno, fmt::format("open {}", directory));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(open.get())) names.emplace_back(entry->d_name);
  std::ranges::sort(names);
  return names;
}

WatchedFiles::Stamps WatchedFiles::stamps(FileView& files) const {
  Stamps all;
  const auto add = [&](std::string path, const Result<FileStamp>& stamp) {
    all.emplace_back(std::move(path), stamp ? std::optional(*stamp) : std::nullopt);
  };
  for (const std::string& path : paths_) {
    const auto stamp = files.stamp(path);
    if (!stamp || !stamp->is_directory) {
      add(path, stamp);
      continue;
    }
    const auto names = files.list(path);
    if (!names) {
      add(path, names.error());
      continue;
    }
    for (const std::string& name : *names) {
      if (all.size() >= kFilesMax) break;
      if (!is_list_name(name)) continue;
      const std::string inside = fmt::format("{}/{}", path, name);
      const auto found = files.stamp(inside);
      if (!found || !found->is_directory) add(inside, found);
    }
  }
  return all;
}

bool WatchedFiles::look(FileView& files) {
  Stamps now = stamps(files);
  if (now == read_) {
    seen_ = std::move(now);
    restless_looks_ = 0;
    return false;
  }
  const bool is_settled = now == seen_ || restless_looks_ >= kRestlessLooksMax;
  seen_ = std::move(now);
  if (!is_settled) {
    ++restless_looks_;
    return false;
  }
  read_ = seen_;
  restless_looks_ = 0;
  return true;
}

std::vector<FileContent> WatchedFiles::read(FileView& files) {
  std::vector<FileContent> contents;
  for (auto& [path, stamp] : stamps(files)) {
    auto text = files.read(path, size_max_);
    contents.push_back({.path = std::move(path), .text = std::move(text)});
  }
  if (contents.size() >= kFilesMax) {
    contents.push_back(
        {.path = paths_.front(),
         .text = rejected(Reason::too_large,
                          fmt::format("{}: only the first {} files are read", paths_.front(), kFilesMax))});
  }
  return contents;
}

}  // namespace postern::gateway
