// The daemon: everything that it is made of, from its start to an orderly end.
#pragma once

#include "device/setup.hpp"

namespace postern::device {

/// Serves until SIGTERM, SIGINT or SIGQUIT. SIGUSR1 polls at once, SIGUSR2 sends the inventory. A
/// configuration with which no server can be reached is an error, except while an update is under way: that
/// may be what has to be undone. Errors: conflict (another daemon runs), those of the files it needs.
Status run_daemon(const Setup& setup, Log& log);

}  // namespace postern::device
