#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/proto/releases.pb.h"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

ReleaseLabels from_record(const record::ReleaseLabels& record) {
  return {.name = record.name(),
          .notes = record.notes(),
          .tags = {record.tags().begin(), record.tags().end()},
          .modified = WallTime(std::chrono::milliseconds(record.modified_ms()))};
}

}  // namespace

Result<std::optional<ReleaseLabels>> KvReleases::find(std::string_view name) const {
  POSTERN_TRY(const auto record,
              get_record<record::ReleaseLabels>(read(), kReleaseLabels, tenant_key().long_text(name)));
  if (!record || record->name() != name) return std::nullopt;
  return from_record(*record);
}

Result<std::vector<ReleaseLabels>> KvReleases::list() const {
  std::vector<ReleaseLabels> all;
  POSTERN_CHECK(read().scan(kReleaseLabels, tenant_key(), [&](Bytes key, Bytes value) -> Result<bool> {
    POSTERN_TRY(const auto record, decode_record<record::ReleaseLabels>(kReleaseLabels, key, value));
    all.push_back(from_record(record));
    return true;
  }));
  return all;
}

Status KvReleases::put(const ReleaseLabels& labels) {
  record::ReleaseLabels record;
  record.set_name(labels.name);
  record.set_notes(labels.notes);
  record.mutable_tags()->Assign(labels.tags.begin(), labels.tags.end());
  record.set_modified_ms(
      std::chrono::floor<std::chrono::milliseconds>(labels.modified).time_since_epoch().count());
  return put_record(write(), kReleaseLabels, tenant_key().long_text(labels.name), record);
}

Status KvReleases::erase(std::string_view name) {
  return write().del(kReleaseLabels, tenant_key().long_text(name));
}

}  // namespace postern::cloud
