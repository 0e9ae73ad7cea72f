// Making artifacts from files that are none (management-api 4.6).
#pragma once

#include "cloud/releases/intake.hpp"
#include "shared/artifact/writer.hpp"

namespace postern::cloud {

/// Where a file goes on the device, and what it is there.
struct SingleFileOrder {
  std::string name;
  std::vector<std::string> device_types;
  std::string description;
  std::optional<std::uint64_t> size_bytes;  ///< of the file, as announced
  std::string file_name;                    ///< on the device
  std::string directory;                    ///< on the device, absolute
  std::string software_filesystem;          ///< this and the next two: see add_software_version()
  std::string software_name;
  std::string software_version;
  std::string user_id;
};

/// Runs on: any executor. Thread-safe.
class ArtifactGenerator {
 public:
  static constexpr std::uint64_t kFileBytesMax = 256ULL << 20;

  ArtifactGenerator(ArtifactIntake& intake, BlobDirectory& blobs, Pool& pool, Clock& clock, Random& random)
      : intake_(intake), blobs_(blobs), pool_(pool), clock_(clock), random_(random) {}

  /// Takes a file and stores an artifact that installs it with the update module single-file, through the
  /// same checks as an upload. Errors: those of ArtifactIntake::take; unprocessable when artifacts have to be
  /// signed, as this server has no key to sign with.
  net::awaitable<Result<std::variant<Artifact, UploadConflict>>> generate(ArtifactIntake::Source source,
                                                                          SingleFileOrder order);

 private:
  using Outcome = Result<std::variant<Artifact, UploadConflict>>;
  struct Spool;

  net::awaitable<Status> receive(ArtifactIntake::Source source, const SingleFileOrder& order, Spool& spool);
  ArtifactDraft draft(const SingleFileOrder& order, Spool& spool) const;
  net::awaitable<Outcome> pack(SingleFileOrder order, const std::string& id, Spool& spool);

  ArtifactIntake& intake_;
  BlobDirectory& blobs_;
  Pool& pool_;
  Clock& clock_;
  Random& random_;
};

}  // namespace postern::cloud
