#include "shared/artifact/reader.hpp"

#include "shared/artifact/signature.hpp"

namespace postern {
namespace {

constexpr std::string_view kHeaderName = "header.tar";
constexpr std::string_view kPayloadName = "data/0000.tar";

Error unexpected(const TarEntry& entry, std::string_view wanted) {
  return invalid(fmt::format("artifact: found {} where {} is expected", entry.name, wanted));
}

Error too_large(std::string_view name, std::uint64_t bytes_max) {
  return rejected(Reason::too_large, fmt::format("{} is larger than {} bytes", name, bytes_max));
}

/// The compression that a name tells of which `base` is the beginning.
std::optional<Compression> compression_of(std::string_view name, std::string_view base) {
  if (!name.starts_with(base)) return std::nullopt;
  return compression_of_suffix(name.substr(base.size()));
}

}  // namespace

ArtifactReader::ArtifactReader(ArtifactReaderOptions options, ArtifactConsumer& consumer)
    : options_(std::move(options)),
      consumer_(&consumer),
      outer_("artifact", *this),
      header_(options_.limits.json_bytes_max) {}

Status ArtifactReader::feed(Bytes bytes) {
  if (failure_) return *failure_;
  auto status = outer_.feed(bytes);
  if (!status) failure_ = status.error();
  return status;
}

Status ArtifactReader::finish() {
  if (failure_) return *failure_;
  auto status = outer_.finish();
  if (status && stage_ != Stage::end) status = invalid("artifact: ends before its payload");
  if (!status) failure_ = status.error();
  return status;
}

Status ArtifactReader::on_entry(TarEntry entry) {
  if (entry.type != TarType::file) {
    return invalid(fmt::format("artifact: {} is not a regular file", entry.name));
  }
  const ArtifactLimits& limits = options_.limits;
  switch (stage_) {
    case Stage::version:
      if (entry.name != "version") return unexpected(entry, "version");
      return begin_text(entry, limits.version_bytes_max);
    case Stage::manifest:
      if (entry.name != "manifest") return unexpected(entry, "manifest");
      return begin_text(entry, limits.manifest_bytes_max);
    case Stage::signature:
      if (entry.name == "manifest.sig") return begin_text(entry, limits.signature_bytes_max);
      if (is_signature_needed()) {
        return invalid("manifest.sig: expecting signed artifact, but no signature file found");
      }
      stage_ = Stage::header;
      return begin_header(entry);
    case Stage::header:
      return begin_header(entry);
    case Stage::payload:
      return begin_payload(entry);
    case Stage::end:
      return unexpected(entry, "the end");
  }
  return bug("artifact reader at no stage");
}

Status ArtifactReader::on_data(Bytes bytes) {
  if (!packed_) {
    text_.append(as_text(bytes));
    return {};
  }
  if (stage_ == Stage::header) header_hash_.update(bytes);
  return packed_->feed(bytes);
}

Status ArtifactReader::on_entry_end() {
  switch (stage_) {
    case Stage::version:
      version_sum_ = sha256(as_bytes(text_));
      POSTERN_CHECK(check_version(text_));
      stage_ = Stage::manifest;
      return {};
    case Stage::manifest:
      return end_manifest();
    case Stage::signature:
      return end_signature();
    case Stage::header:
      return end_header();
    case Stage::payload:
      return end_payload();
    case Stage::end:
      break;
  }
  return bug("artifact reader behind the end");
}

Status ArtifactReader::begin_text(const TarEntry& entry, std::uint64_t bytes_max) {
  if (entry.size > bytes_max) return too_large(entry.name, bytes_max);
  text_.clear();
  return {};
}

Status ArtifactReader::begin_header(const TarEntry& entry) {
  if (entry.name == "manifest-augment") return invalid("artifact: augmented artifacts are not supported");
  const auto compression = compression_of(entry.name, kHeaderName);
  if (!compression) return unexpected(entry, kHeaderName);
  if (entry.size > options_.limits.header_bytes_max) {
    return too_large(entry.name, options_.limits.header_bytes_max);
  }
  header_name_ = entry.name;
  packed_ = std::make_unique<PackedTar>(entry.name, *compression, options_.limits.header_bytes_max, header_);
  return {};
}

Status ArtifactReader::begin_payload(const TarEntry& entry) {
  const auto compression = compression_of(entry.name, kPayloadName);
  if (!compression) return unexpected(entry, kPayloadName);
  packed_ =
      std::make_unique<PackedTar>(entry.name, *compression, options_.limits.payload_bytes_max, *payload_);
  return {};
}

Status ArtifactReader::end_manifest() {
  manifest_text_ = std::move(text_);
  POSTERN_TRY(manifest_, Manifest::parse(manifest_text_, options_.limits.files_max));
  POSTERN_TRY(const Digest expected, manifest_.take("version"));
  POSTERN_CHECK(check_sum("version", expected, version_sum_));
  stage_ = Stage::signature;
  return {};
}

Status ArtifactReader::end_signature() {
  signature_ = ArtifactSignature::unchecked;
  if (is_signature_needed()) {
    POSTERN_CHECK(verify_manifest(as_bytes(manifest_text_), text_, options_.keys));
    signature_ = ArtifactSignature::verified;
  }
  stage_ = Stage::header;
  return {};
}

Status ArtifactReader::end_header() {
  POSTERN_TRY(const Digest expected, manifest_.take(header_name_));
  POSTERN_CHECK(check_sum(header_name_, expected, header_hash_.finish()));
  POSTERN_CHECK(packed_->finish());
  packed_.reset();
  POSTERN_CHECK(header_.check_complete());
  POSTERN_TRY(ArtifactHeader header, parse_header(header_.texts()));
  for (const ArtifactScript& script : header_.scripts()) header.scripts.push_back(script.name);
  if (options_.refuse_unusable_payload_types && header.payload_type &&
      !is_usable_payload_type(*header.payload_type)) {
    return invalid(
        fmt::format("header-info: payload type {} cannot be one of an update module", *header.payload_type));
  }
  POSTERN_CHECK(consumer_->on_header(header, signature_));
  for (const ArtifactScript& script : header_.scripts()) {
    POSTERN_CHECK(consumer_->on_script(script.name, script.mode, as_bytes(script.content)));
  }
  // From here on the artifact can be long: let go of what is not needed any more.
  header_ = HeaderTar(options_.limits.json_bytes_max);
  manifest_text_ = {};
  payload_.emplace(manifest_, !header.payload_type, *consumer_);
  stage_ = Stage::payload;
  return {};
}

Status ArtifactReader::end_payload() {
  POSTERN_CHECK(packed_->finish());
  packed_.reset();
  POSTERN_CHECK(manifest_.check_all_taken());
  stage_ = Stage::end;
  return {};
}

}  // namespace postern
