#include "device/setup.hpp"

#include "shared/io/file.hpp"

namespace postern::device {

VerifyKeys load_verify_keys(const Settings& settings, Log& log) {
  VerifyKeys loaded;
  loaded.is_required = !settings.artifact_verify_keys.empty();
  for (const std::string& path : settings.artifact_verify_keys) {
    const auto text = read_file(path);
    auto key = text ? PublicKey::from_pem(*text) : Result<PublicKey>(text.error());
    if (key) {
      loaded.keys.push_back(*std::move(key));
    } else {
      log.error("device.verify_key_unusable", {{"path", path}, {"error", key.error().what}});
    }
  }
  return loaded;
}

void warn_without_keys(const VerifyKeys& keys, Log& log) {
  if (keys.is_required) return;
  log.warn("device.no_verify_key",
           {{"danger",
             "any artifact is installed, whoever made it: who controls the server or a gateway controls "
             "this device"},
            {"remedy", "sign artifacts and set ArtifactVerifyKey in mender.conf"}});
}

ModuleInstallerOptions installer_options(const Setup& setup, const VerifyKeys& keys) {
  const Settings& settings = setup.settings;
  return {.modules = {.directory = setup.paths.module_directory(),
                      .tree = setup.paths.module_tree(),
                      .call_max = settings.module_timeout},
          .device_type = [path = settings.device_type_file] { return read_device_type(path); },
          .verify_keys = keys.keys,
          .require_signature = keys.is_required,
          .reboot_command = settings.reboot_command};
}

}  // namespace postern::device
