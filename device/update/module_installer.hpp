// Installs with update modules.
#pragma once

#include "device/update/installer.hpp"
#include "device/update/update_module.hpp"
#include "shared/async/pool.hpp"
#include "shared/crypto/keys.hpp"

namespace postern::device {

class ArtifactSteps;

struct ModuleInstallerOptions {
  UpdateModuleOptions modules;
  std::function<Result<std::string>()> device_type;  ///< read anew for each artifact
  std::span<const PublicKey> verify_keys;  ///< borrowed; with some, artifacts have to be signed by one
  bool require_signature = false;          ///< refuses unsigned artifacts also without a key
  std::vector<std::string> reboot_command = {"/sbin/reboot"};
  Duration reboot_max = std::chrono::minutes(10);  ///< after which the machine was to be down
};

/// Runs on: one executor.
class ModuleInstaller final : public Installer {
 public:
  ModuleInstaller(Pool& pool, Clock& clock, Log& log, ModuleInstallerOptions options)
      : pool_(pool),
        clock_(clock),
        log_(log),
        options_(std::move(options)),
        modules_(clock, log, options_.modules) {}

  net::awaitable<Status> download(http::Body& artifact, const Installed& installed,
                                  OnHeader on_header) override;
  net::awaitable<Status> call(std::string payload_type, std::string_view state) override;
  net::awaitable<Result<Reboot>> needs_reboot(std::string payload_type) override;
  net::awaitable<Result<bool>> supports_rollback(std::string payload_type) override;
  net::awaitable<Status> clean_up(std::string payload_type) override;
  net::awaitable<Status> reboot() override;

 private:
  net::awaitable<Status> take(ArtifactSteps& steps, const Installed& installed, const OnHeader& on_header);
  Status check_header(const ArtifactHeader& header, const std::string& device_type,
                      const Installed& installed) const;

  Pool& pool_;
  Clock& clock_;
  Log& log_;
  const ModuleInstallerOptions options_;
  UpdateModules modules_;
};

}  // namespace postern::device
