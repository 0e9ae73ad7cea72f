#include "shared/artifact/payload_tar.hpp"

namespace postern {
namespace {

// What RFC 3339 can write: the years 1 to 9999.
constexpr std::int64_t kMtimeMin = -62135596800;
constexpr std::int64_t kMtimeMax = 253402300799;

}  // namespace

PayloadTar::PayloadTar(Manifest& manifest, bool is_empty, ArtifactConsumer& consumer)
    : manifest_(&manifest), is_empty_(is_empty), consumer_(&consumer) {}

Status PayloadTar::on_entry(TarEntry entry) {
  if (is_empty_) return invalid("payload: an empty payload holds a file");
  if (entry.type != TarType::file) {
    return invalid(fmt::format("payload: {} is not a regular file", entry.name));
  }
  if (!is_payload_file_name(entry.name)) {
    return invalid(fmt::format("payload: {} is no name for a file", entry.name));
  }
  if (entry.mtime < kMtimeMin || entry.mtime > kMtimeMax) {
    return invalid(fmt::format("payload: {} is of a time out of range", entry.name));
  }
  path_ = fmt::format("data/0000/{}", entry.name);
  POSTERN_TRY(expected_, manifest_->take(path_));
  return consumer_->on_file_begin(
      {.name = std::move(entry.name), .size = entry.size, .mtime = entry.mtime, .mode = entry.mode});
}

Status PayloadTar::on_data(Bytes bytes) {
  hash_.update(bytes);
  return consumer_->on_file_data(bytes);
}

Status PayloadTar::on_entry_end() {
  const Digest actual = hash_.finish();
  POSTERN_CHECK(check_sum(path_, expected_, actual));
  return consumer_->on_file_end(actual);
}

}  // namespace postern
