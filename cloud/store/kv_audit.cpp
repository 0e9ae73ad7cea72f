#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/proto/audit.pb.h"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

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
  const auto seconds = std::chrono::floor<std::chrono::seconds>(entry.time).time_since_epoch().count();
  return (!filter.created_after || seconds >= *filter.created_after) &&
         (!filter.created_before || seconds <= *filter.created_before) &&
         is_like(filter.actor_id, entry.actor.id) && is_like(filter.actor_email, entry.actor.email) &&
         is_like(filter.object_id, entry.object.id) && is_like(filter.object_type, entry.object.type) &&
         (filter.deployment_name.empty() ||
          (entry.object.type == "deployment" && entry.object.name == filter.deployment_name));
}

}  // namespace

Result<AuditPage> KvAudit::list(const AuditFilter& filter, std::size_t skip, std::size_t count) const {
  AuditPage page;
  const auto direction = filter.oldest_first ? Direction::ascending : Direction::descending;
  POSTERN_CHECK(
      read().scan(kAuditLog, tenant_key(), {}, direction, [&](Bytes key, Bytes value) -> Result<bool> {
        POSTERN_TRY(const auto record, decode_record<record::AuditEntry>(kAuditLog, key, value));
        AuditEntry entry = from_record(record);
        if (!matches(filter, entry)) return true;
        if (page.total >= skip && page.entries.size() < count) page.entries.push_back(std::move(entry));
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
