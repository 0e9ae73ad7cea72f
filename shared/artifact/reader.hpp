// Reads an artifact as it arrives and verifies it as it reads (artifact-format, whole).
#pragma once

#include <span>

#include "shared/artifact/consumer.hpp"
#include "shared/artifact/header_tar.hpp"
#include "shared/artifact/manifest.hpp"
#include "shared/artifact/packed_tar.hpp"
#include "shared/artifact/payload_tar.hpp"
#include "shared/crypto/keys.hpp"

namespace postern {

/// Bounds on what an artifact may ask of its reader (artifact-format 12).
struct ArtifactLimits {
  std::uint64_t version_bytes_max = 64ULL << 10;
  std::uint64_t manifest_bytes_max = 16ULL << 20;
  std::uint64_t signature_bytes_max = 64ULL << 10;
  /// Of the header archive, packed and unpacked; state scripts are kept in memory until the header is
  /// verified.
  std::uint64_t header_bytes_max = 64ULL << 20;
  /// Of each JSON text in the header.
  std::uint64_t json_bytes_max = 1ULL << 20;
  /// Of the payload archive when unpacked: a bound on work, as the payload is never kept.
  std::uint64_t payload_bytes_max = 256ULL << 30;
  std::size_t files_max = 1024;
};

struct ArtifactReaderOptions {
  /// Borrowed. With keys, an artifact has to be signed by one of them.
  std::span<const PublicKey> keys;
  /// Refuses unsigned artifacts even when there is no key left to check with: set it where keys were
  /// configured, whether or not they could be loaded.
  bool require_signature = false;
  /// Refuses payload types that no device may act on, although they make a valid file: for uploads.
  bool refuse_unusable_payload_types = false;
  ArtifactLimits limits;
};

/// Reads one artifact. Does no I/O: feed it from an HTTP body, a file or a test. The header reaches the
/// consumer once everything it depends on was verified; payload bytes reach it before their checksum is
/// known.
///
/// Small inputs can unpack to a lot, all of which goes through the consumer within one feed(), so a consumer
/// that waits belongs on a thread that may wait.
///
/// Runs on: one thread at a time. Not movable. The consumer and the keys outlive it.
class ArtifactReader final : private TarSink {
 public:
  ArtifactReader(ArtifactReaderOptions options, ArtifactConsumer& consumer);
  ArtifactReader(const ArtifactReader&) = delete;
  ArtifactReader& operator=(const ArtifactReader&) = delete;

  /// Takes some more bytes of the artifact. Errors, which repeat on every later call: invalid (what and
  /// where; a wrong checksum starts with "invalid checksum", another format version with "unsupported
  /// version", an empty name or no device types with "metadata invalid"), too_large (beyond a limit); those
  /// of the consumer, unchanged.
  Status feed(Bytes bytes);
  /// The artifact has ended. When this succeeds, all of it was there and is verified. Errors: as feed().
  Status finish();

 private:
  /// What has to come next.
  enum class Stage { version, manifest, signature, header, payload, end };

  Status on_entry(TarEntry entry) override;
  Status on_data(Bytes bytes) override;
  Status on_entry_end() override;

  Status begin_text(const TarEntry& entry, std::uint64_t bytes_max);
  Status begin_header(const TarEntry& entry);
  Status begin_payload(const TarEntry& entry);
  Status end_manifest();
  Status end_signature();
  Status end_header();
  Status end_payload();
  bool is_signature_needed() const { return options_.require_signature || !options_.keys.empty(); }

  ArtifactReaderOptions options_;
  ArtifactConsumer* consumer_;
  TarReader outer_;
  Stage stage_ = Stage::version;
  ArtifactSignature signature_ = ArtifactSignature::absent;
  std::optional<Error> failure_;

  std::string text_;  ///< of the current member, where it is small
  Digest version_sum_{};
  std::string manifest_text_;  ///< until the signature was checked
  Manifest manifest_;
  std::string header_name_;
  Sha256 header_hash_;
  HeaderTar header_;
  std::optional<PayloadTar> payload_;
  std::unique_ptr<PackedTar> packed_;  ///< of the current member, where it is an archive
};

}  // namespace postern
