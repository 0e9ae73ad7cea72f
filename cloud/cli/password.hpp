// Where a password comes from. Never from the command line, where other users of the machine could read it.
#pragma once

#include <string>

#include "shared/base/config.hpp"

namespace postern::cli {

/// The first of: the file, POSTERN_PASSWORD, and a question on the terminal that does not show what is typed
/// (or a line of standard input, when that is no terminal). Errors: invalid (it is empty), not_found,
/// transient.
Result<std::string> get_password(const std::string& file, const Environment& environment);
/// The same for a password that somebody is to have from now on: the file, POSTERN_NEW_PASSWORD, and a
/// question that is asked twice. Errors: invalid also when the two answers differ.
Result<std::string> get_new_password(const std::string& file, const Environment& environment);

}  // namespace postern::cli
