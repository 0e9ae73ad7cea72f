#include "cloud/backup/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <boost/json.hpp>

#include <cerrno>
#include <filesystem>

#include "shared/http/answer.hpp"
#include "shared/io/file.hpp"

namespace postern::cloud {
namespace {

namespace json = boost::json;

constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::int64_t kFormat = 1;

/// Of a path in the manifest, which comes from outside.
bool is_backup_path(std::string_view path) {
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view name = path.substr(slash + 1);
  const auto& known = kBackupDirectories;
  return std::ranges::find(known, path.substr(0, slash)) != known.end() && !name.empty() && name != "." &&
         name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

Result<BackupFile> parse_file(const json::value& value) {
  const auto bad = [](std::string_view what) { return corrupt(fmt::format("backup.json: {}", what)); };
  const auto* object = value.if_object();
  if (object == nullptr) return bad("a file is no object");
  const auto* path = object->if_contains("path");
  const auto* size = object->if_contains("size_bytes");
  const auto* sha256 = object->if_contains("sha256");
  if (path == nullptr || !path->is_string() || size == nullptr || !size->is_number() || sha256 == nullptr ||
      !sha256->is_string()) {
    return bad("a file has no path, size_bytes or sha256");
  }
  BackupFile file{.path = std::string(path->as_string())};
  if (!is_backup_path(file.path)) return bad(fmt::format("{} is no file of a backup", file.path));
  boost::system::error_code error;
  file.size_bytes = size->to_number<std::uint64_t>(error);
  const auto digest = from_hex(std::string_view(sha256->as_string()));
  if (error || !digest || digest->size() != file.digest.size())
    return bad(file.path + " has no size or digest");
  std::ranges::copy(*digest, file.digest.begin());
  return file;
}

}  // namespace

Status make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return from_errno(errno, fmt::format("make directory {}", path));
}

Status sync_directory(const std::string& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) {
    return from_errno(errno, fmt::format("sync directory {}", path));
  }
  return {};
}

Status remove_all(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return from_errno(error.value(), fmt::format("remove {}", path));
  return {};
}

Result<std::vector<std::string>> files_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto status = entry->symlink_status(error);
    if (!error && std::filesystem::is_regular_file(status)) names.push_back(entry->path().filename());
    if (error == std::errc::no_such_file_or_directory) error.clear();  // gone since it was listed
  }
  if (error) return from_errno(error.value(), fmt::format("list {}", directory));
  std::ranges::sort(names);
  return names;
}

Result<bool> is_vacant(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return true;
    return from_errno(errno, fmt::format("stat {}", path));
  }
  if (!S_ISDIR(info.st_mode)) return false;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename() != "lost+found") return false;
  }
  if (error) return from_errno(error.value(), fmt::format("list {}", path));
  return true;
}

Status link_or_copy(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return {};
  if (errno == ENOENT || errno == EEXIST || errno == ENOSPC) {
    return from_errno(errno, fmt::format("link {}", from));
  }
  return copy_file(from, to);
}

Status copy_file(const std::string& from, const std::string& to) {
  POSTERN_TRY(const auto source, open_file(from));
  const Descriptor target(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!target) return from_errno(errno, fmt::format("make {}", to));
  std::vector<std::byte> piece(kPieceBytes);
  for (std::uint64_t offset = 0;;) {
    POSTERN_TRY(const std::size_t count, source->read_at(offset, piece));
    for (std::size_t done = 0; done < count;) {
      const auto written = ::write(target.get(), piece.data() + done, count - done);
      if (written < 0 && errno != EINTR) return from_errno(errno, fmt::format("write {}", to));
      done += written > 0 ? static_cast<std::size_t>(written) : 0;
    }
    offset += count;
    if (count < piece.size()) break;
  }
  if (::fsync(target.get()) != 0) return from_errno(errno, fmt::format("sync {}", to));
  return {};
}

Result<BackupFile> measure(const std::string& root, const std::string& path) {
  POSTERN_TRY(const auto file, open_file(fmt::format("{}/{}", root, path)));
  BackupFile measured{.path = path};
  Sha256 hash;
  std::vector<std::byte> piece(kPieceBytes);
  for (;;) {
    POSTERN_TRY(const std::size_t count, file->read_at(measured.size_bytes, piece));
    hash.update(Bytes(piece).first(count));
    measured.size_bytes += count;
    if (count < piece.size()) break;
  }
  measured.digest = hash.finish();
  return measured;
}

Result<Descriptor> lock_directory(const std::string& path) {
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return from_errno(errno, fmt::format("open directory {}", path));
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) == 0) return directory;
  if (errno == EWOULDBLOCK) return conflict(fmt::format("{} is being written by another process", path));
  return from_errno(errno, fmt::format("lock {}", path));
}

std::string to_manifest(const std::vector<BackupFile>& files, std::string_view created,
                        std::string_view version) {
  json::array list;
  for (const BackupFile& file : files) {
    list.push_back(
        json::object{{"path", file.path}, {"size_bytes", file.size_bytes}, {"sha256", to_hex(file.digest)}});
  }
  return json::serialize(json::object{
             {"format", kFormat}, {"created", created}, {"version", version}, {"files", std::move(list)}}) +
         "\n";
}

Result<std::vector<BackupFile>> parse_manifest(std::string_view text) {
  const auto value = http::parse_json(text);
  if (!value) return corrupt(fmt::format("backup.json: {}", value.error().what));
  const auto* object = value->if_object();
  const auto* format = object == nullptr ? nullptr : object->if_contains("format");
  const auto* list = object == nullptr ? nullptr : object->if_contains("files");
  if (format == nullptr || *format != kFormat || list == nullptr || !list->is_array()) {
    return corrupt("backup.json: of another format than this program knows");
  }
  std::vector<BackupFile> files;
  for (const json::value& entry : list->as_array()) {
    POSTERN_TRY(BackupFile file, parse_file(entry));
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace postern::cloud
