// JSON as update modules get it (device-client 10.3).
#pragma once

#include <string>

#include "shared/base/result.hpp"

namespace postern::device {

/// The same value with sorted keys and an indentation of two spaces, without a final newline. Errors:
/// invalid.
Result<std::string> pretty_json(std::string_view text);

}  // namespace postern::device
