// What a server keeps of an artifact that was uploaded (artifact-format 14).
#pragma once

#include "shared/artifact/consumer.hpp"

namespace postern {

/// A consumer that keeps the description of the artifact and drops the content of its files.
class ArtifactSummary final : public ArtifactConsumer {
 public:
  struct File {
    ArtifactFile file;
    std::string checksum;  ///< SHA-256, lower-case hexadecimal
  };

  Status on_header(const ArtifactHeader& header, ArtifactSignature signature) override;
  Status on_file_begin(const ArtifactFile& file) override;
  Status on_file_data(Bytes) override { return {}; }
  Status on_file_end(const Digest& checksum) override;

  // What follows counts once ArtifactReader::finish() succeeded.

  const ArtifactHeader& header() const { return header_; }
  bool is_signed() const { return is_signed_; }
  const std::vector<File>& files() const { return files_; }
  int format_version() const { return kArtifactVersion; }

 private:
  ArtifactHeader header_;
  bool is_signed_ = false;
  std::vector<File> files_;
};

/// The text with which the management API answers an upload that the reader refused (management-api 4.2):
/// `invalid checksum ...`, `unsupported version ...`, `Metadata invalid`, else `reading artifact error: ...`.
std::string upload_error_text(const Error& error);

}  // namespace postern
