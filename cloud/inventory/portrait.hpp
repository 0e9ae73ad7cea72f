// Everything that is known of one device, as attributes (management-api 3.1).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cloud/inventory/filter.hpp"
#include "cloud/store/store.hpp"

namespace postern::cloud {

struct DeviceAttribute {
  Scope scope = Scope::inventory;
  std::string name;
  boost::json::value value;
  std::string description;
  std::optional<WallTime> set;  ///< of a tag
};

struct Portrait {
  std::uint32_t ordinal = 0;
  std::string id;
  AuthStatus status = AuthStatus::noauth;
  std::string tier;  ///< of the auth set that gives the status
  WallTime created;
  WallTime updated;
  std::string group;
  std::string tags_etag;  ///< empty: tags were never written
  std::vector<DeviceAttribute> attributes;

  /// Null: there is no such attribute.
  const boost::json::value* find(Scope scope, std::string_view attribute) const;
};

/// What an operator sees of a device that was seen last at `last_seen`. Errors: corrupt.
Result<Portrait> portray(const ReadTx& tx, const Device& device, std::optional<WallTime> last_seen);

/// Whether the device is one that `filter` means; identity/id is its id.
bool matches(const Filter& filter, const Portrait& portrait);

}  // namespace postern::cloud
