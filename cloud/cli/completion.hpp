// Scripts that complete a command line in a shell, made from the commands as they are declared.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace postern::cli {

enum class Shell { bash, zsh, fish };

/// The script that a shell sources to complete `app`, whose name is the command's.
std::string completion_script(const CLI::App& app, Shell shell);

}  // namespace postern::cli
