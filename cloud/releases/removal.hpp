// Deleting artifacts: the records in one unit of work, then the files (management-api 4.4, 4.9).
#pragma once

#include "cloud/blobs/blobs.hpp"
#include "cloud/releases/journal.hpp"
#include "shared/async/pool.hpp"
#include "shared/base/log.hpp"

namespace postern::cloud {

/// A download that is under way ends well: its file is gone from the directory and stays until it is closed.
/// Thread-safe.
class ArtifactRemoval {
 public:
  /// Releases that may be deleted at once.
  static constexpr std::size_t kReleasesMax = 500;

  ArtifactRemoval(Store& store, BlobDirectory& blobs, Pool& pool, Clock& clock, Log& log)
      : store_(store), blobs_(blobs), pool_(pool), clock_(clock), log_(log) {}

  /// Errors: not_found, conflict (in an unfinished deployment).
  net::awaitable<Status> remove(std::string id, std::string user_id);
  /// Removes all artifacts of these names; names that there are not are fine. Returns the ids of unfinished
  /// deployments that use one of them: with any, nothing was removed. Errors: invalid (no names, too many).
  net::awaitable<Result<std::vector<std::string>>> remove_releases(std::vector<std::string> names,
                                                                   std::string user_id);

 private:
  net::awaitable<void> erase_files(std::vector<std::string> ids);

  Store& store_;
  BlobDirectory& blobs_;
  Pool& pool_;
  Clock& clock_;
  Log& log_;
};

}  // namespace postern::cloud
