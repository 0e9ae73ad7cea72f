#include "cloud/inventory/groups.hpp"

namespace postern::cloud {
namespace {

constexpr std::size_t kNameCharactersMax = 256;

bool is_name_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

GroupChange& GroupChange::operator+=(const GroupChange& other) {
  matched += other.matched;
  updated += other.updated;
  return *this;
}

Status check_group_name(std::string_view name) {
  if (name.empty()) return invalid("group name cannot be blank");
  if (name.size() > kNameCharactersMax) {
    return invalid(fmt::format("group name can at most have {} characters", kNameCharactersMax));
  }
  if (!std::ranges::all_of(name, is_name_character)) {
    return invalid("group name can only contain: upper/lowercase alphanum, -(dash), _(underscore)");
  }
  return {};
}

Result<GroupChange> join_group(WriteTx& tx, std::span<const std::string> device_ids, std::string_view group) {
  GroupChange change;
  for (const std::string& id : device_ids) {
    POSTERN_TRY(auto device, tx.devices().find(id));
    if (!device) continue;
    ++change.matched;
    if (device->group == group) continue;
    ++change.updated;
    device->group = group;
    POSTERN_CHECK(tx.change_devices().put(*device));
  }
  return change;
}

Result<GroupChange> leave_group(WriteTx& tx, std::span<const std::string> device_ids,
                                std::string_view group) {
  GroupChange change;
  for (const std::string& id : device_ids) {
    POSTERN_TRY(auto device, tx.devices().find(id));
    if (!device || device->group != group) continue;
    ++change.matched;
    ++change.updated;
    device->group.clear();
    POSTERN_CHECK(tx.change_devices().put(*device));
  }
  return change;
}

}  // namespace postern::cloud
