// Small questions to texts that several parts ask.
#pragma once

#include <string>
#include <string_view>

namespace postern {

/// ASCII letters in lower case; all else as it was.
std::string to_lower(std::string_view text);

/// Whether `text` is a UUID in its lower-case text form.
bool is_uuid(std::string_view text);

}  // namespace postern
