// The gateway as a process: everything opened, started, and ended again.
#pragma once

#include "gateway/config.hpp"

namespace postern::gateway {

/// Serves until a signal comes. Errors: whatever keeps it from starting.
Status serve(Config config, Log& log);

}  // namespace postern::gateway
