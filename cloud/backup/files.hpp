// Files and directories of a backup.
#pragma once

#include <string>
#include <vector>

#include "shared/crypto/digest.hpp"
#include "shared/io/descriptor.hpp"

namespace postern::cloud {

/// One file of a backup.
struct BackupFile {
  std::string path;  ///< relative: a directory of the backup, a slash, a name
  std::uint64_t size_bytes = 0;
  Digest digest{};

  bool operator==(const BackupFile&) const = default;
};

/// The directories that a backup has.
inline constexpr std::array<std::string_view, 3> kBackupDirectories{"database", "artifacts", "secrets"};

/// All of these are blocking. Errors: not_found, conflict, exhausted, transient.
Status make_directory(const std::string& path);  ///< with mode 0700; that it is there already is fine
Status sync_directory(const std::string& path);
Status remove_all(const std::string& path);  ///< that there is nothing is fine
/// Names of the regular files in a directory, sorted.
Result<std::vector<std::string>> files_in(const std::string& directory);
/// Whether there is nothing at `path`, or a directory without anything in it but a file system's own
/// lost+found.
Result<bool> is_vacant(const std::string& path);
/// A hard link, or where that cannot be a durable copy of mode 0600.
Status link_or_copy(const std::string& from, const std::string& to);
Status copy_file(const std::string& from, const std::string& to);
/// Reads a file through.
Result<BackupFile> measure(const std::string& root, const std::string& path);
/// Opens a directory and keeps others who do the same out. Errors: conflict.
Result<Descriptor> lock_directory(const std::string& path);

/// The text of backup.json. `created` is in RFC 3339.
std::string to_manifest(const std::vector<BackupFile>& files, std::string_view created,
                        std::string_view version);
/// Errors: corrupt, also for paths that are not of a backup.
Result<std::vector<BackupFile>> parse_manifest(std::string_view text);

}  // namespace postern::cloud
