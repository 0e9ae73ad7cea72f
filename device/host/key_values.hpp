// What identity and inventory scripts print: lines of key=value (device-client 4).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "shared/base/result.hpp"

namespace postern::device {

/// By key, sorted; a key that comes several times has several values, in their order.
using KeyValues = std::map<std::string, std::vector<std::string>>;

/// Errors: invalid (a line without `=`, or with nothing before it).
Result<KeyValues> parse_key_values(std::string_view text);

}  // namespace postern::device
