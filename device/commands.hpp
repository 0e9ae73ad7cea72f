// The commands of an operator on the device (device-client 1.2).
#pragma once

#include "device/setup.hpp"

namespace postern::device {

// Each returns the exit status; what the operator is told goes to standard output.

/// `source` is a file, an http or https URL, or `-` for standard input.
Result<int> install(const Setup& setup, const std::string& source, bool with_reboot_status, Log& log);
Result<int> commit(const Setup& setup, Log& log);
Result<int> roll_back(const Setup& setup, Log& log);
Result<int> resume(const Setup& setup, Log& log);

Result<int> show_artifact(const Setup& setup, Log& log);
Result<int> show_provides(const Setup& setup, Log& log);

/// Tells the daemon to poll, or to send the inventory. Errors: not_found (none runs), transient (it may not
/// be told by this user).
Result<int> signal_daemon(const Setup& setup, int signal);

}  // namespace postern::device
