#include "cloud/releases/journal.hpp"

namespace postern::cloud {
namespace {

Status note(WriteTx& tx, const Change& change, AuditEntry entry) {
  POSTERN_TRY(const auto user, tx.users().find(change.user_id));
  entry.time = change.at;
  entry.actor.id = change.user_id;
  if (user) entry.actor.email = user->email;
  return tx.change_audit().add(std::move(entry));
}

}  // namespace

Status note_artifact(WriteTx& tx, const Change& change, std::string action, const Artifact& artifact,
                     std::string text) {
  AuditEntry entry;
  entry.action = std::move(action);
  entry.object.type = "artifact";
  entry.object.id = artifact.id;
  entry.object.name = artifact.name;
  entry.change = std::move(text);
  return note(tx, change, std::move(entry));
}

Status note_release(WriteTx& tx, const Change& change, std::string action, const std::string& name,
                    std::string text) {
  AuditEntry entry;
  entry.action = std::move(action);
  entry.object.type = "release";
  entry.object.id = name;
  entry.object.name = name;
  entry.change = std::move(text);
  return note(tx, change, std::move(entry));
}

}  // namespace postern::cloud
