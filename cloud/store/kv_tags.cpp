#include <boost/json.hpp>

#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/http/answer.hpp"
#include "shared/proto/inventory.pb.h"
#include "shared/store/record.hpp"

namespace postern::cloud {

Result<DeviceTags> KvTags::get(std::uint32_t device) const {
  POSTERN_TRY(const auto record,
              get_record<record::DeviceTags>(read(), kDeviceTags, tenant_key().u32(device)));
  DeviceTags tags;
  if (!record) return tags;
  tags.etag = record->etag();
  for (const record::Tag& tag : record->tags()) {
    auto value = http::parse_json(tag.value_json());
    if (!value) return corrupt(fmt::format("tag {}: {}", tag.name(), value.error().what));
    tags.tags.push_back({.name = tag.name(),
                         .value = *std::move(value),
                         .description = tag.description(),
                         .set = WallTime(std::chrono::milliseconds(tag.set_ms()))});
  }
  return tags;
}

Status KvTags::put(std::uint32_t device, const DeviceTags& tags) {
  record::DeviceTags record;
  record.set_etag(tags.etag);
  for (const Tag& tag : tags.tags) {
    record::Tag& stored = *record.add_tags();
    stored.set_name(tag.name);
    stored.set_value_json(boost::json::serialize(tag.value));
    stored.set_description(tag.description);
    stored.set_set_ms(tag.set.time_since_epoch().count());
  }
  note_change(device);
  return put_record(write(), kDeviceTags, tenant_key().u32(device), record);
}

Status KvTags::erase(std::uint32_t device) {
  note_change(device);
  return write().del(kDeviceTags, tenant_key().u32(device));
}

Result<std::vector<Sighting>> KvSightings::list() const {
  std::vector<Sighting> sightings;
  POSTERN_CHECK(read().scan(kDevicesLastSeen, tenant_key(), [&](Bytes key, Bytes value) -> Result<bool> {
    KeyReader reader(key);
    POSTERN_CHECK(reader.u32());
    POSTERN_TRY(const std::uint32_t device, reader.u32());
    POSTERN_TRY(const std::uint64_t ms, KeyReader(value).u64());
    sightings.push_back({.device = device, .at = WallTime(std::chrono::milliseconds(ms))});
    return true;
  }));
  return sightings;
}

Status KvSightings::put(const Sighting& sighting) {
  const auto ms =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, sighting.at.time_since_epoch().count()));
  return write().put(kDevicesLastSeen, tenant_key().u32(sighting.device), KeyBuilder().u64(ms));
}

Status KvSightings::erase(std::uint32_t device) {
  return write().del(kDevicesLastSeen, tenant_key().u32(device));
}

}  // namespace postern::cloud
