// Backups of all that lasts: the database, the artifacts and the secrets.
//
// A backup is a directory: database/, artifacts/, secrets/, and backup.json, which names every file with its
// size and SHA-256. It is made under another name, DIR.unfinished, verified there, and gets its name last; so
// what has the name is whole. Artifacts never change once they are stored, so they are hard links where the
// file system allows it, else copies. Everything is of mode 0600 or 0700.
#pragma once

#include <string>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

namespace postern::cloud {

struct BackupContent {
  std::uint64_t records = 0;  ///< rows of the database
  std::size_t artifacts = 0;
  std::uint64_t size_bytes = 0;  ///< of all files
};

struct BackupOptions {
  std::string data_directory;
  std::string target;
  std::uint64_t database_bytes_max = 64ULL << 30;
  std::string version;  ///< of this program, for backup.json
};
/// Makes a backup, also of a server that runs as another process, but not in this one: all that it had
/// acknowledged when this began is in it, and no half transaction. What a killed one has left at
/// DIR.unfinished is removed. Blocking. Errors: conflict (there is something at the target, or another backup
/// is being made there), not_found (no database), corrupt (a record or an artifact is bad: there is no backup
/// then), exhausted, transient.
Result<BackupContent> back_up(const BackupOptions& options, Clock& clock, Log& log);

struct RestoreOptions {
  std::string backup;
  std::string data_directory;
  std::uint64_t database_bytes_max = 64ULL << 30;
};
/// Puts a backup into a data directory that is empty or not there, and checks every file, record and
/// artifact. Blocking. Errors: conflict (the directory is not empty), not_found or corrupt (no whole backup),
/// exhausted, transient.
Result<BackupContent> restore(const RestoreOptions& options, Clock& clock, Log& log);

/// Whether a data directory may be served: not while a restore into it has not come to its end. Errors:
/// conflict.
Status check_whole(const std::string& data_directory);

}  // namespace postern::cloud
