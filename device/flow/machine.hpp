// Runs the update that the server ordered, state by state, so that it can be taken up again wherever the
// power was cut.
#pragma once

#include "device/flow/backoff.hpp"
#include "device/flow/states.hpp"
#include "device/server/server.hpp"
#include "device/store/device_store.hpp"
#include "device/update/installer.hpp"
#include "shared/base/log.hpp"

namespace postern::device {

/// The log of one deployment, which the server gets when it fails. Runs on: one executor.
class DeploymentRecorder {
 public:
  virtual ~DeploymentRecorder() = default;
  /// From now on everything that is logged belongs to this deployment, also when it is taken up again.
  virtual void begin(const std::string& deployment_id) = 0;
  virtual void end() = 0;
  /// The JSON for the server (device-client 6). Errors: as files have.
  virtual Result<std::string> body() = 0;
};

/// Runs on: one executor.
class Machine {
 public:
  struct Parts {
    DeviceStore& store;
    Installer& installer;
    Server& server;
    Scripts& scripts;
    DeploymentRecorder& recorder;
    Clock& clock;
    Log& log;
  };
  Machine(Parts parts, BackoffOptions retries) : parts_(parts), retries_(retries) {}

  /// Carries out a deployment and reports how it went. Succeeds when it is over, whichever way it went.
  /// Errors: cancelled, with the deployment to be taken up by recover().
  net::awaitable<Status> install(Deployment deployment);

  /// Takes up the deployment that was under way when the process ended, if there was one; true then. Errors:
  /// as install().
  net::awaitable<Result<bool>> recover();

 private:
  net::awaitable<Status> run(State state);
  net::awaitable<Outcome> step(const Row& row);
  net::awaitable<Status> store_entry(const Row& row);
  net::awaitable<Outcome> perform(const Row& row);
  net::awaitable<Outcome> perform_special(State state);

  net::awaitable<Outcome> download();
  net::awaitable<Status> accept_header(const ArtifactHeader& header);
  net::awaitable<Outcome> query_reboot();
  net::awaitable<Outcome> reboot(std::string_view module_state);
  net::awaitable<Outcome> query_rollback();
  net::awaitable<Outcome> verify_rollback_reboot();
  net::awaitable<Outcome> save_provides();
  net::awaitable<Outcome> clean_up();
  net::awaitable<Outcome> give_up();
  net::awaitable<Outcome> report(std::string_view status);
  net::awaitable<Outcome> report_before_commit();
  net::awaitable<Outcome> report_final();
  net::awaitable<Outcome> clear();

  /// Reports until it was taken. Errors: conflict (aborted), the last one when it was given up, cancelled.
  net::awaitable<Status> report_patiently(std::string_view status);
  net::awaitable<Status> upload_log();
  /// Waits before the next try; false: no more tries.
  net::awaitable<bool> wait_to_retry(Backoff& backoff);
  /// What is installed after the update ended as it is tracked.
  Outcome judge(const Status& status, std::string_view what);
  void fail() { record_.tracking = after_failure(record_.tracking); }

  Parts parts_;
  const BackoffOptions retries_;
  UpdateRecord record_;
  std::string uri_;
  bool is_looping_ = false;    ///< the record was stored too often
  bool is_cancelled_ = false;  ///< stop at once, as if the power were cut
};

}  // namespace postern::device
