#include "shared/artifact/summary.hpp"

namespace postern {

Status ArtifactSummary::on_header(const ArtifactHeader& header, ArtifactSignature signature) {
  header_ = header;
  is_signed_ = signature != ArtifactSignature::absent;
  return {};
}

Status ArtifactSummary::on_file_begin(const ArtifactFile& file) {
  files_.push_back({.file = file, .checksum = {}});
  return {};
}

Status ArtifactSummary::on_file_end(const Digest& checksum) {
  files_.back().checksum = to_hex(checksum);
  return {};
}

std::string upload_error_text(const Error& error) {
  if (error.what.starts_with("metadata invalid")) return "Metadata invalid";
  if (error.what.starts_with("invalid checksum") || error.what.starts_with("unsupported version")) {
    return error.what;
  }
  return fmt::format("reading artifact error: {}", error.what);
}

}  // namespace postern
