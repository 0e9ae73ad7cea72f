// Who the device is.
#pragma once

#include <string>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

namespace postern::device {

/// Runs the identity script and gives the device's identity as the text of a JSON object with sorted keys
/// (device-client 4): `id_data` of an authentication. A key with one value has a string, one with several an
/// array. Lines on the script's standard error go into the log. Errors: those of run_program; rejected (it
/// ended with another status than 0), invalid (what it printed).
net::awaitable<Result<std::string>> device_identity(std::string script, Clock& clock, Log& log);

}  // namespace postern::device
