// Writes an artifact of format version 3 (artifact-format 2 to 7) that every reader takes.
#pragma once

#include <functional>

#include "shared/artifact/compressor.hpp"
#include "shared/artifact/header_tar.hpp"
#include "shared/crypto/digest.hpp"
#include "shared/crypto/keys.hpp"

namespace postern {

/// A file to put into the payload.
struct PayloadInput {
  std::string name;  ///< see is_payload_file_name(); at most kPayloadInputNameMax
  std::uint64_t size = 0;
  Digest checksum{};  ///< of the content: it stands in the artifact before the content does
  std::int64_t mtime = 0;
  std::uint32_t mode = 0600;
  /// Reads from `offset` on; fewer bytes than asked only at the end.
  std::function<Result<std::size_t>(std::uint64_t offset, MutableBytes out)> read_at;
};

/// With its folder a name in the manifest has at most 100 characters for some clients (artifact-format 4).
inline constexpr std::size_t kPayloadInputNameMax = 90;

/// What is to be written.
struct ArtifactDraft {
  std::string name;
  std::string group;  ///< empty: none
  std::vector<std::string> device_types;
  std::optional<std::string> payload_type;  ///< nothing: an empty payload (artifact-format 9)
  std::map<std::string, std::string> provides;
  std::map<std::string, std::string> depends;  ///< texts only: lists are refused by some clients
  std::vector<std::string> clears_provides;
  std::string meta_data;  ///< a JSON object; empty: none
  std::vector<ArtifactScript> scripts;
  std::vector<PayloadInput> files;
  Compression compression = Compression::gzip;
  const PrivateKey* key = nullptr;  ///< RSA or ECDSA P-256; null: not signed
};

/// Where an artifact is written to.
class ArtifactOutput {
 public:
  virtual ~ArtifactOutput() = default;
  /// The next bytes.
  virtual Status write(Bytes bytes) = 0;
  /// Replaces bytes that were written: the size of the payload is known only after it was compressed.
  virtual Status overwrite(std::uint64_t offset, Bytes bytes) = 0;
};

/// The provide and the pattern it is cleared by that `mender-artifact` gives to what it writes
/// (artifact-format 10.4). An empty `filesystem` is "rootfs-image", an empty `software` the payload type, an
/// empty `version` the name of the artifact.
void add_software_version(ArtifactDraft& draft, std::string_view filesystem, std::string_view software,
                          std::string_view version);

/// Writes the whole artifact. Blocking: it reads and compresses the payload. Memory does not grow with the
/// payload. Errors: invalid (a field that a reader would refuse, a key that cannot sign), too_large (a
/// payload of 8 GiB or more), unsupported (compression), corrupt (a file is not what was said of it); those
/// of input and output.
Status write_artifact(const ArtifactDraft& draft, ArtifactOutput& output);

}  // namespace postern
