// What the daemon and the commands both start from.
#pragma once

#include "device/host/settings.hpp"
#include "device/update/module_installer.hpp"

namespace postern::device {

struct Setup {
  Paths paths;
  Settings settings;
  std::string version;

  /// Held by the daemon, with its process number.
  std::string daemon_lock() const { return paths.datastore + "/postern-device.pid"; }
  /// Held by whoever changes the device.
  std::string update_lock() const { return paths.datastore + "/postern-update.lock"; }
};

/// The keys that artifacts have to be signed with.
struct VerifyKeys {
  std::vector<PublicKey> keys;
  bool is_required = false;  ///< some are configured, whether or not they can be used
};

/// A key that cannot be read is told, and leaves the others.
VerifyKeys load_verify_keys(const Settings& settings, Log& log);
/// Says what it means that no keys are configured, if so.
void warn_without_keys(const VerifyKeys& keys, Log& log);

/// `keys` outlives the installer.
ModuleInstallerOptions installer_options(const Setup& setup, const VerifyKeys& keys);

}  // namespace postern::device
