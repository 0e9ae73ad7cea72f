// Updates by hand: install, commit, rollback, resume (device-client 1.2 and 8).
#pragma once

#include "device/flow/scripts.hpp"
#include "device/store/device_store.hpp"
#include "device/update/installer.hpp"
#include "shared/base/log.hpp"

namespace postern::device {

/// Exit statuses of the commands.
inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitNothingToDo = 2;
inline constexpr int kExitReboot = 4;

/// Runs on: one executor.
class Standalone {
 public:
  struct Parts {
    DeviceStore& store;
    Installer& installer;
    Scripts& scripts;
    Log& log;
    std::function<void(std::string_view line)> say;  ///< to the operator
  };
  /// Opens the artifact.
  using Open = std::function<net::awaitable<Result<std::unique_ptr<http::Body>>>()>;

  explicit Standalone(Parts parts) : parts_(std::move(parts)) {}

  /// Each returns the exit status. Errors: what went wrong, which is kExitError, after the operator was told
  /// what became of the device.
  net::awaitable<Result<int>> install(Open open, bool with_reboot_status);
  net::awaitable<Result<int>> commit();
  net::awaitable<Result<int>> roll_back();
  net::awaitable<Result<int>> resume();

 private:
  net::awaitable<Status> load();
  net::awaitable<Status> save(std::string_view state);
  net::awaitable<Status> fetch(Open open);
  net::awaitable<Status> fetch_payload(Open open);
  net::awaitable<Result<int>> install_empty();
  net::awaitable<Status> run_install();
  net::awaitable<Status> query();
  net::awaitable<Result<int>> run_commit(std::string_view when_done);
  net::awaitable<Status> commit_payload();
  net::awaitable<Result<int>> undo(std::optional<Error> why, bool ask);
  net::awaitable<Status> run_rollback(bool ask);
  net::awaitable<Result<int>> run_failure(std::optional<Error> why);
  net::awaitable<Result<int>> finish(std::string_view when_done, std::optional<Error> why);
  net::awaitable<Status> around(std::string_view step);
  net::awaitable<Status> run_step(std::string_view step);
  Error not_from_here(std::string_view command) const;

  Parts parts_;
  UpdateRecord record_;
  bool is_pending_ = false;
};

}  // namespace postern::device
