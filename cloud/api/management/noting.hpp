// What management routes write to the audit log.
#pragma once

#include "cloud/users/accounts.hpp"

namespace postern::cloud::management {

/// Adds the entry of what the session's user does, to be called in the unit of work of the change.
inline Status note_change(WriteTx& tx, const Session& session, WallTime now, std::string_view action,
                          AuditEntry::Object object, std::string change = {}) {
  POSTERN_TRY(const auto user, tx.users().find(session.user_id));
  AuditEntry entry;
  entry.time = now;
  entry.action = action;
  entry.actor.id = session.user_id;
  if (user) entry.actor.email = user->email;
  entry.object = std::move(object);
  entry.change = std::move(change);
  return tx.change_audit().add(std::move(entry));
}

inline AuditEntry::Object object_of(const Device& device) {
  return {.type = "device", .id = device.id, .name = {}, .artifact_name = {}, .identity = device.identity};
}

}  // namespace postern::cloud::management
