// What the device tells about itself.
#pragma once

#include <string>

#include "device/server/server.hpp"
#include "shared/base/log.hpp"

namespace postern::device {

/// Runs every executable `mender-inventory-*` of a directory, one after another in sorted order, each for at
/// most 10 s, and puts what they print together (device-client 4). A script that fails is left out with a
/// warning. `mender_client_version` is `version` where no script knows better. No directory, no scripts.
/// Errors: rejected when there are scripts and all of them failed; transient (the directory cannot be read).
net::awaitable<Result<Inventory>> device_inventory(std::string directory, std::string version, Clock& clock,
                                                   Log& log);

}  // namespace postern::device
