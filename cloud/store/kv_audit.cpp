#include <algorithm>
#include <limits>

#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/proto/audit.pb.h"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

constexpr std::int64_t kSecondsMax = std::numeric_limits<std::int64_t>::max() / 1000 - 1;

std::uint64_t to_ms(WallTime time) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
  return ms < 0 ? 0 : static_cast<std::uint64_t>(ms);
}

record::AuditEntry to_record(const AuditEntry& entry) {
  record::AuditEntry record;
  record.set_number(entry.number);
  record.set_time_ms(static_cast<std::int64_t>(to_ms(entry.time)));
  record.set_action(entry.action);
  record.set_actor_type(entry.actor.type);
  record.set_actor_id(entry.actor.id);
  record.set_actor_email(entry.actor.email);
  record.set_actor_identity(entry.actor.identity);
  record.set_object_type(entry.object.type);
  record.set_object_id(entry.object.id);
  record.set_object_name(entry.object.name);
  record.set_object_artifact_name(entry.object.artifact_name);
  record.set_object_identity(entry.object.identity);
  record.set_change(entry.change);
  for (const std::string& session : entry.sessions) record.add_sessions(session);
  return record;
}

AuditEntry from_record(const record::AuditEntry& record) {
  return {.number = record.number(),
          .time = WallTime(std::chrono::milliseconds(record.time_ms())),
          .action = record.action(),
          .actor = {.type = record.actor_type(),
                    .id = record.actor_id(),
                    .email = record.actor_email(),
                    .identity = record.actor_identity()},
          .object = {.type = record.object_type(),
                     .id = record.object_id(),
                     .name = record.object_name(),
                     .artifact_name = record.object_artifact_name(),
                     .identity = record.object_identity()},
          .change = record.change(),
          .sessions = {record.sessions().begin(), record.sessions().end()}};
}

bool is_like(std::string_view wanted, std::string_view text) {
  return wanted.empty() || wanted == text;
}

bool matches(const AuditFilter& filter, const AuditEntry& entry) {
  return is_like(filter.actor_id, entry.actor.id) && is_like(filter.actor_email, entry.actor.email) &&
         is_like(filter.object_id, entry.object.id) && is_like(filter.object_type, entry.object.type) &&
         (filter.deployment_name.empty() ||
          (entry.object.type == "deployment" && entry.object.name == filter.deployment_name));
}

/// Whether keys alone tell what matches.
bool asks_for_time_only(const AuditFilter& filter) {
  return filter.actor_id.empty() && filter.actor_email.empty() && filter.object_id.empty() &&
         filter.object_type.empty() && filter.deployment_name.empty();
}

Result<std::uint64_t> time_in(Bytes key) {
  KeyReader reader(key);
  POSTERN_CHECK(reader.u32());
  return reader.u64();
}

/// Before 1970 there is nothing, and after what 64 bits of milliseconds hold there is nothing either.
std::uint64_t first_ms(const AuditFilter& filter) {
  const std::int64_t seconds = std::clamp<std::int64_t>(filter.created_after.value_or(0), 0, kSecondsMax);
  return static_cast<std::uint64_t>(seconds) * 1000;
}
std::uint64_t last_ms(const AuditFilter& filter) {
  const std::int64_t seconds =
      std::clamp<std::int64_t>(filter.created_before.value_or(kSecondsMax), 0, kSecondsMax);
  return static_cast<std::uint64_t>(seconds) * 1000 + 999;
}

bool is_in_time(const AuditFilter& filter, std::uint64_t ms) {
  return ms >= first_ms(filter) && ms <= last_ms(filter);
}

/// Whether the scan has come out at the far end of the time that is asked for.
bool is_past(const AuditFilter& filter, std::uint64_t ms) {
  return filter.oldest_first ? ms > last_ms(filter) : ms < first_ms(filter);
}

/// Where the scan begins.
KeyBuilder start_of(const AuditFilter& filter) {
  if (filter.oldest_first) return tenant_key().u64(first_ms(filter));
  return tenant_key().u64(last_ms(filter)).u32(std::numeric_limits<std::uint32_t>::max());
}

}  // namespace

Result<AuditPage> KvAudit::list(const AuditFilter& filter, std::size_t skip, std::size_t count) const {
  AuditPage page;
  const auto direction = filter.oldest_first ? Direction::ascending : Direction::descending;
  const bool needs_time_only = asks_for_time_only(filter);
  POSTERN_CHECK(read().scan(
      kAuditLog, tenant_key(), start_of(filter), direction, [&](Bytes key, Bytes value) -> Result<bool> {
        POSTERN_TRY(const std::uint64_t at, time_in(key));
        if (!is_in_time(filter, at)) return !is_past(filter, at);
        const bool is_on_page = page.total >= skip && page.entries.size() < count;
        if (is_on_page || !needs_time_only) {
          POSTERN_TRY(const auto record, decode_record<record::AuditEntry>(kAuditLog, key, value));
          AuditEntry entry = from_record(record);
          if (!matches(filter, entry)) return true;
          if (is_on_page) page.entries.push_back(std::move(entry));
        }
        ++page.total;
        return true;
      }));
  return page;
}

Status KvAudit::add(AuditEntry entry) {
  POSTERN_TRY(entry.number, next_number("audit"));
  return put_record(write(), kAuditLog, tenant_key().u64(to_ms(entry.time)).u32(entry.number),
                    to_record(entry));
}

}  // namespace postern::cloud
