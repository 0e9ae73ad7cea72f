// Static groups: a device is in at most one, and a group exists while it has a member (management-api 3.4).
#pragma once

#include <span>

#include "cloud/store/store.hpp"

namespace postern::cloud {

struct GroupChange {
  std::size_t matched = 0;  ///< devices that exist, or that were in the group
  std::size_t updated = 0;  ///< of them, those that changed

  GroupChange& operator+=(const GroupChange& other);
};

/// Devices that one unit of work changes at most; who has more begins the next one.
inline constexpr std::size_t kGroupChangesAtOnce = 200;

/// Errors: invalid.
Status check_group_name(std::string_view name);
/// Ids that no device has are passed over.
Result<GroupChange> join_group(WriteTx& tx, std::span<const std::string> device_ids, std::string_view group);
/// Devices that are in another group stay there.
Result<GroupChange> leave_group(WriteTx& tx, std::span<const std::string> device_ids, std::string_view group);

}  // namespace postern::cloud
