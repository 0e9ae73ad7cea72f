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
#include "shared/crypto/keys.hpp"

namespace postern::cloud {

/// What comes with an artifact.
struct UploadOptions {
  std::string id;  ///< a UUID; empty: make one up
  std::string description;
  std::optional<std::uint64_t> size_bytes;  ///< as announced
  std::string user_id;                      ///< who uploads
};

/// An artifact of the same name can serve the same device (management-api 4.3).
struct UploadConflict {
  DependsCombination combination;  ///< empty: it is the id that is taken
};

struct IntakeOptions {
  std::uint64_t storage_bytes_max = 0;  ///< of all artifacts together; 0: no limit
  /// An artifact has to be signed by one of them; null: none has to be.
  std::shared_ptr<const std::vector<PublicKey>> verify_keys;
};

/// Runs on: any executor. Thread-safe.
class ArtifactIntake {
 public:
  static constexpr std::uint64_t kArtifactBytesMax = 10ULL << 30;

  ArtifactIntake(Store& store, BlobDirectory& blobs, Pool& pool, Clock& clock, Random& random, Log& log,
                 IntakeOptions options);

  /// The next piece of the artifact, empty at its end.
  using Source = std::function<net::awaitable<Result<Bytes>>()>;
  /// Takes one artifact from its first byte to its record; whatever goes wrong, nothing of it stays. Errors:
  /// invalid (with the texts of management-api 4.2), too_large (also beyond the storage limit), exhausted;
  /// those of the source.
  net::awaitable<Result<std::variant<Artifact, UploadConflict>>> take(Source source, UploadOptions options);

  bool requires_signatures() const { return options_.verify_keys != nullptr; }

 private:
  class Claim;

  net::awaitable<Result<Artifact>> receive(Source source, const UploadOptions& options,
                                           BlobDirectory::Upload& upload, std::uint64_t room);
  net::awaitable<Result<std::optional<UploadConflict>>> record(const Artifact& artifact, std::string user_id);
  /// How many bytes of artifacts the storage limit still lets in.
  net::awaitable<Result<std::uint64_t>> room();

  Store& store_;
  BlobDirectory& blobs_;
  Pool& pool_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  IntakeOptions options_;
  std::mutex mutex_;
  std::set<std::string> claimed_;  ///< ids being uploaded
};

}  // namespace postern::cloud
