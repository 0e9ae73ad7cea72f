// What names and passwords may look like (management-api 1.3).
#pragma once

#include <string>

#include "shared/base/result.hpp"

namespace postern::cloud {

inline constexpr std::size_t kPasswordCharactersMax = 256;

/// For users that are made on the machine itself, where any name will do. Errors: invalid.
Status check_name(std::string_view name);
/// For users that are made over the network. Errors: invalid.
Status check_email(std::string_view email);
/// `name` is in lower case. Errors: unprocessable.
Status check_password(std::string_view name, std::string_view password);
/// Whether a name contains the password, whatever the letters' case.
bool is_similar(std::string_view name, std::string_view password);
/// Errors: invalid.
Status check_token_name(std::string_view name);

}  // namespace postern::cloud
