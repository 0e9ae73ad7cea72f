// What the update flow does to the device.
#pragma once

#include "device/store/update_record.hpp"
#include "shared/base/clock.hpp"
#include "shared/http/message.hpp"

namespace postern::device {

/// One implementation runs update modules; tests have their own. Runs on: one executor.
class Installer {
 public:
  /// Gets the header of an artifact that fits, before anything is done with it. What it captures outlives the
  /// download.
  using OnHeader = std::function<net::awaitable<Status>(const ArtifactHeader&)>;

  virtual ~Installer() = default;

  /// Reads an artifact to its end, verifies it, and has its module put the payload aside. Errors: invalid and
  /// unprocessable (an artifact that is not for us), those of `artifact`, `on_header` and the module.
  virtual net::awaitable<Status> download(http::Body& artifact, const Installed& installed,
                                          OnHeader on_header) = 0;
  /// Lets the module do one of its states, `ArtifactInstall` and so on. Errors: any is a failure.
  virtual net::awaitable<Status> call(std::string payload_type, std::string_view state) = 0;
  virtual net::awaitable<Result<Reboot>> needs_reboot(std::string payload_type) = 0;
  virtual net::awaitable<Result<bool>> supports_rollback(std::string payload_type) = 0;
  /// The module's Cleanup, unless there is nothing to clean up, and the end of its directory.
  virtual net::awaitable<Status> clean_up(std::string payload_type) = 0;
  /// Has the machine reboot, and waits to be ended. Errors: always, when we are still there.
  virtual net::awaitable<Status> reboot() = 0;
};

}  // namespace postern::device
