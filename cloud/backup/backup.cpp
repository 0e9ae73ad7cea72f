#include "cloud/backup/backup.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <set>

#include "cloud/backup/files.hpp"
#include "cloud/store/kv_store.hpp"
#include "cloud/store/verify.hpp"
#include "shared/base/fault_point.hpp"
#include "shared/io/file.hpp"
#include "shared/store/copy.hpp"

namespace postern::cloud {
namespace {

constexpr std::string_view kManifest = "/backup.json";
constexpr std::size_t kManifestBytesMax = 256 << 20;
constexpr std::string_view kUnfinished = ".unfinished";
/// In a data directory that is being restored.
constexpr std::string_view kRestoring = "/restore.unfinished";
constexpr std::string_view kDatabaseFile = "database/data.mdb";
constexpr std::string_view kUploadSuffix = ".upload";
/// An artifact that is deleted between the copy of the database and the look at it makes the copy useless.
constexpr int kAttempts = 10;

/// All files of a backup but the manifest, by their paths.
Result<std::vector<std::string>> paths_in(const std::string& root) {
  std::vector<std::string> paths;
  for (const std::string_view directory : kBackupDirectories) {
    POSTERN_TRY(const auto names, files_in(fmt::format("{}/{}", root, directory)));
    for (const std::string& name : names) paths.push_back(fmt::format("{}/{}", directory, name));
  }
  return paths;
}

/// Opens a copy, whose lock file then goes again, and reads all of it.
Result<StoreContent> verify_copy(const std::string& directory, std::uint64_t bytes_max, Clock& clock,
                                 Log& log) {
  StoreContent content;
  {
    POSTERN_TRY(const auto database, open_database(directory, bytes_max, clock, log));
    POSTERN_TRY(content, verify_store(*database));
  }
  POSTERN_CHECK(remove_all(directory + "/data.mdb-lock"));
  return content;
}

/// Each artifact has to have its file, as the record describes it. `files` are those that were measured.
Status check_artifacts(const std::vector<Artifact>& artifacts, const std::vector<BackupFile>& files) {
  std::map<std::string_view, const BackupFile*> by_path;
  for (const BackupFile& file : files) by_path.emplace(file.path, &file);
  for (const Artifact& artifact : artifacts) {
    const auto found = by_path.find("artifacts/" + artifact.id);
    if (found == by_path.end()) return corrupt(fmt::format("artifact {} has no file", artifact.id));
    if (found->second->size_bytes != artifact.size_bytes || found->second->digest != artifact.digest) {
      return corrupt(fmt::format("the file of artifact {} is not what was uploaded", artifact.id));
    }
  }
  return {};
}

BackupContent sum(const StoreContent& content, const std::vector<BackupFile>& files) {
  BackupContent all{.records = content.records, .artifacts = content.artifacts.size()};
  for (const BackupFile& file : files) all.size_bytes += file.size_bytes;
  return all;
}

Result<std::vector<BackupFile>> measure_all(const std::string& root) {
  POSTERN_TRY(const auto paths, paths_in(root));
  std::vector<BackupFile> files;
  for (const std::string& path : paths) {
    POSTERN_TRY(BackupFile file, measure(root, path));
    files.push_back(std::move(file));
  }
  return files;
}

Status make_directories(const std::string& root) {
  for (const std::string_view directory : kBackupDirectories) {
    POSTERN_CHECK(make_directory(fmt::format("{}/{}", root, directory)));
  }
  return {};
}

Status sync_directories(const std::string& root) {
  for (const std::string_view directory : kBackupDirectories) {
    POSTERN_CHECK(sync_directory(fmt::format("{}/{}", root, directory)));
  }
  return sync_directory(root);
}

/// Makes one backup in `work`, which is empty.
class Maker {
 public:
  Maker(const BackupOptions& options, std::string work, Clock& clock, Log& log)
      : options_(options), work_(std::move(work)), clock_(clock), log_(log) {}

  Result<BackupContent> make() {
    const std::string created = to_rfc3339(clock_.wall());
    POSTERN_CHECK(make_directories(work_));
    POSTERN_CHECK(copy_secrets());
    // The files before the database: an artifact has its file before it has its record.
    POSTERN_CHECK(link_artifacts());
    POSTERN_FAULT_POINT("backup.after_artifacts");
    POSTERN_TRY(const StoreContent content, copy_database());
    POSTERN_FAULT_POINT("backup.after_database");
    POSTERN_TRY(const auto files, measure_all(work_));
    POSTERN_CHECK(check_artifacts(content.artifacts, files));
    POSTERN_CHECK(sync_directories(work_));
    POSTERN_CHECK(write_file(work_ + std::string(kManifest), to_manifest(files, created, options_.version),
                             0600, Existing::replace));
    return sum(content, files);
  }

 private:
  Status copy_secrets() {
    const std::string from = options_.data_directory + "/secrets";
    POSTERN_TRY(const auto names, files_in(from));
    for (const std::string& name : names) {
      POSTERN_CHECK(copy_file(fmt::format("{}/{}", from, name), fmt::format("{}/secrets/{}", work_, name)));
    }
    return {};
  }

  Status link_artifact(const std::string& name) {
    return link_or_copy(fmt::format("{}/artifacts/{}", options_.data_directory, name),
                        fmt::format("{}/artifacts/{}", work_, name));
  }
  Status link_artifacts() {
    POSTERN_TRY(const auto names, files_in(options_.data_directory + "/artifacts"));
    for (const std::string& name : names) {
      if (name.ends_with(kUploadSuffix)) continue;
      const Status linked = link_artifact(name);
      if (!linked && linked.error().reason != Reason::not_found) return linked;
    }
    return {};
  }

  /// The database, and exactly the artifacts that it knows.
  Result<StoreContent> copy_database() {
    const std::string copy = work_ + "/database";
    for (int attempt = 1;; ++attempt) {
      POSTERN_CHECK(remove_all(copy));
      POSTERN_CHECK(copy_lmdb_database(options_.data_directory + "/database", copy));
      POSTERN_TRY(StoreContent content, verify_copy(copy, options_.database_bytes_max, clock_, log_));
      const Status matched = match_artifacts(content.artifacts);
      if (matched) return content;
      if (matched.error().reason != Reason::not_found) return matched.error();
      if (attempt == kAttempts)
        return Error(matched.error()).within("an artifact of the database has no file");
    }
  }

  Status match_artifacts(const std::vector<Artifact>& artifacts) {
    POSTERN_TRY(const auto names, files_in(work_ + "/artifacts"));
    std::set<std::string> surplus(names.begin(), names.end());
    for (const Artifact& artifact : artifacts) {
      if (surplus.erase(artifact.id) == 0) POSTERN_CHECK(link_artifact(artifact.id));
    }
    for (const std::string& name : surplus)
      POSTERN_CHECK(remove_all(fmt::format("{}/artifacts/{}", work_, name)));
    return {};
  }

  const BackupOptions& options_;
  const std::string work_;
  Clock& clock_;
  Log& log_;
};

std::string without_final_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::vector<BackupFile>> read_manifest(const std::string& backup) {
  auto text = read_file(backup + std::string(kManifest), kManifestBytesMax);
  if (!text) return std::move(text).error().within("there is no whole backup");
  return parse_manifest(*text);
}

/// Copies the files of a backup, each of which has to be what the manifest says.
Status copy_all(const std::string& backup, const std::vector<BackupFile>& files, const std::string& target) {
  for (const BackupFile& file : files) {
    const std::string from = fmt::format("{}/{}", backup, file.path);
    const std::string to = fmt::format("{}/{}", target, file.path);
    // A database is written to, so it must not be shared with the backup; what else changes is replaced
    // whole.
    POSTERN_CHECK(file.path.starts_with("artifacts/") ? link_or_copy(from, to) : copy_file(from, to));
    POSTERN_TRY(const BackupFile found, measure(target, file.path));
    if (found != file) return corrupt(fmt::format("{} of the backup is not what it was", file.path));
  }
  return {};
}

}  // namespace

Result<BackupContent> back_up(const BackupOptions& options, Clock& clock, Log& log) {
  const std::string target = without_final_slashes(options.target);
  POSTERN_TRY(const bool vacant, is_vacant(target));
  if (!vacant) return conflict(fmt::format("{} is there already, and not empty", target));
  const std::string work = target + std::string(kUnfinished);
  POSTERN_CHECK(make_directory(work));
  POSTERN_TRY(const Descriptor lock, lock_directory(work));
  for (const std::string_view directory : kBackupDirectories) {
    POSTERN_CHECK(remove_all(fmt::format("{}/{}", work, directory)));
  }
  POSTERN_CHECK(remove_all(work + std::string(kManifest)));
  POSTERN_TRY(BackupContent content, Maker(options, work, clock, log).make());
  POSTERN_FAULT_POINT("backup.before_name");
  if (::rename(work.c_str(), target.c_str()) != 0) {
    return from_errno(errno, fmt::format("name the backup {}", target));
  }
  POSTERN_CHECK(sync_directory(parent_of(target)));
  return content;
}

Result<BackupContent> restore(const RestoreOptions& options, Clock& clock, Log& log) {
  const std::string& data = options.data_directory;
  POSTERN_TRY(const auto files, read_manifest(options.backup));
  if (std::ranges::find(files, kDatabaseFile, &BackupFile::path) == files.end()) {
    return corrupt("the backup has no database");
  }
  const std::string marker = data + std::string(kRestoring);
  if (check_whole(data)) {
    POSTERN_TRY(const bool vacant, is_vacant(data));
    if (!vacant) return conflict(fmt::format("{} is not empty: a backup is restored into nothing", data));
  }
  POSTERN_CHECK(make_directory(data));
  POSTERN_TRY(const Descriptor lock, lock_directory(data));
  POSTERN_CHECK(write_file(marker, "", 0600, Existing::replace));
  for (const std::string_view directory : kBackupDirectories) {
    POSTERN_CHECK(remove_all(fmt::format("{}/{}", data, directory)));
  }
  POSTERN_CHECK(make_directories(data));
  POSTERN_CHECK(copy_all(options.backup, files, data));
  POSTERN_TRY(const StoreContent content,
              verify_copy(data + "/database", options.database_bytes_max, clock, log));
  POSTERN_CHECK(check_artifacts(content.artifacts, files));
  POSTERN_CHECK(sync_directories(data));
  POSTERN_FAULT_POINT("restore.before_end");
  POSTERN_CHECK(remove_all(marker));
  POSTERN_CHECK(sync_directory(data));
  return sum(content, files);
}

Status check_whole(const std::string& data_directory) {
  struct stat info{};
  if (::lstat((data_directory + std::string(kRestoring)).c_str(), &info) != 0) return {};
  return conflict(fmt::format("a restore into {} has not come to its end: begin it again", data_directory));
}

}  // namespace postern::cloud
