// Identity data of a device in canonical form, and its hash: what makes two requests the same device.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "shared/crypto/digest.hpp"
#include "shared/device_api/go_json.hpp"

namespace postern {

inline constexpr std::size_t kIdentityBytesMax = 64 << 10;
inline constexpr int kIdentityDepthMax = 32;

struct Identity {
  std::string canonical;           ///< the text that is hashed
  Digest hash;                     ///< SHA-256 of it
  boost::json::object attributes;  ///< its members, for the inventory
};

/// Reads the JSON object inside `id_data` and writes it anew as Go does (device-protocol 1.4): members sorted
/// by bytes at every level, the last of equal names wins, numbers as IEEE doubles, and anything that is not
/// Unicode as U+FFFD. Errors: invalid (no JSON, no object, too deep, a number beyond a double), too_large.
Result<Identity> parse_identity(std::string_view id_data);

}  // namespace postern
