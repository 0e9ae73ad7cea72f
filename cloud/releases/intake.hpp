// Taking artifacts in: streamed to disk and verified on the way (management-api 4.2).
#pragma once

#include <mutex>
#include <set>
#include <variant>

#include "cloud/blobs/blobs.hpp"
#include "cloud/store/store.hpp"
#include "shared/async/pool.hpp"
#include "shared/base/log.hpp"
#include "shared/base/random.hpp"

namespace postern::cloud {

/// What comes with an artifact.
struct UploadOptions {
  std::string id;  ///< a UUID; empty: make one up
  std::string description;
  std::optional<std::uint64_t> size_bytes;  ///< as announced
};

/// An artifact of the same name can serve the same device (management-api 4.3).
struct UploadConflict {
  DependsCombination combination;  ///< empty: it is the id that is taken
};

/// Runs on: any executor. Thread-safe.
class ArtifactIntake {
 public:
  static constexpr std::uint64_t kArtifactBytesMax = 10ULL << 30;

  ArtifactIntake(Store& store, BlobDirectory& blobs, Pool& pool, Clock& clock, Random& random, Log& log);

  /// The next piece of the artifact, empty at its end.
  using Source = std::function<net::awaitable<Result<Bytes>>()>;
  /// Takes one artifact from its first byte to its record; whatever goes wrong, nothing of it stays. Errors:
  /// invalid (with the texts of management-api 4.2), too_large, exhausted; those of the source.
  net::awaitable<Result<std::variant<Artifact, UploadConflict>>> take(Source source, UploadOptions options);

  /// Removes an artifact's record, then its file. Errors: not_found, conflict (in an unfinished deployment).
  net::awaitable<Status> remove(std::string id);

 private:
  class Claim;

  net::awaitable<Result<Artifact>> receive(Source source, const UploadOptions& options,
                                           BlobDirectory::Upload& upload);
  net::awaitable<Result<std::optional<UploadConflict>>> record(const Artifact& artifact);

  Store& store_;
  BlobDirectory& blobs_;
  Pool& pool_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  std::mutex mutex_;
  std::set<std::string> claimed_;  ///< ids being uploaded
};

}  // namespace postern::cloud
