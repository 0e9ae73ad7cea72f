// Calls of update modules (device-client 10.1 and 10.2).
#pragma once

#include "device/store/update_record.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

namespace postern::device {

struct UpdateModuleOptions {
  std::string directory;                           ///< where modules are, e.g. /usr/share/mender/modules/v3
  std::string tree;                                ///< where a module works; absolute
  Duration call_max = std::chrono::hours(4);       ///< for one call; then it is told to end
  Duration kill_delay = std::chrono::seconds(10);  ///< from there until it is killed
};

/// Runs the module of a payload type. Runs on: one executor.
class UpdateModules {
 public:
  UpdateModules(Clock& clock, Log& log, UpdateModuleOptions options)
      : clock_(clock), log_(log), options_(std::move(options)) {}

  /// Errors: unsupported (a type that cannot be the name of a module), not_found, naming the type.
  Status check(const std::string& type) const;

  /// Lets the module do `state`; what it writes goes into the log. Errors: rejected (it says it failed),
  /// exhausted (took too long), not_found, transient.
  net::awaitable<Status> call(std::string type, std::string_view state);

  /// Errors of these: as call(), and invalid for an answer that the protocol does not have.
  net::awaitable<Result<bool>> wants_file_sizes(std::string type);
  net::awaitable<Result<Reboot>> needs_reboot(std::string type);
  net::awaitable<Result<bool>> supports_rollback(std::string type);

  const std::string& tree() const { return options_.tree; }

 private:
  net::awaitable<Result<std::string>> run(std::string type, std::string_view call, bool is_query);
  net::awaitable<Result<std::string>> ask(std::string type, std::string_view query);

  Clock& clock_;
  Log& log_;
  const UpdateModuleOptions options_;
};

/// The answer in what a query printed: at most one line, without its end. Errors: invalid.
Result<std::string> parse_answer(std::string_view output);
/// "Yes", and "No" or nothing. Errors: invalid.
Result<bool> parse_yes_no(std::string_view answer);
/// "No" or nothing, "Yes", "Automatic". Errors: invalid.
Result<Reboot> parse_reboot(std::string_view answer);

}  // namespace postern::device
