// Looks at a configuration, and at the files it names, without serving anything.
#pragma once

#include "cloud/config.hpp"

namespace postern::cloud {

/// Everything that would keep a cloud with this configuration from starting, or from working, as far as that
/// can be seen beforehand; each names the configuration key. Empty: nothing. Blocking; it changes nothing.
std::vector<std::string> problems_of(const Config& config, WallTime now);

}  // namespace postern::cloud
