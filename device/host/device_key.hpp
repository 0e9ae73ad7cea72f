// The key that the device proves its identity with.
#pragma once

#include <string>

#include "shared/crypto/keys.hpp"

namespace postern::device {

/// The device's own key at `path`, PEM, mode 0600: the one that is there, or else a new Ed25519 key, which is
/// durable before it is returned. The last folder of the path is made when missing. A file that cannot be
/// read as a key is an error and stays: a new key would be a new device to the server. Errors: invalid,
/// exhausted, transient.
Result<PrivateKey> load_or_make_device_key(const std::string& path);

/// A key that was made elsewhere (Security.AuthPrivateKey). Errors: not_found, invalid.
Result<PrivateKey> load_static_key(const std::string& path);

}  // namespace postern::device
