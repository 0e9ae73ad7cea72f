// The world of an update, for tests: a module, scripts and a server that write down what they are asked to
// do, and fail or lose the power where they are told to.
#pragma once

#include <set>

#include "device/flow/machine.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/loop.hpp"

namespace postern::device::testing {

/// The power is cut: unwinds whatever runs.
struct PowerCut {};

/// Short names of states, as in device-client 7.6: `In` ArtifactInstall, `VRRb` ArtifactVerifyRollbackReboot.
std::string short_name(std::string_view step);

struct Faults {
  std::set<std::string> failing;  ///< by short name
  std::set<std::string> killing;
  bool every_time = false;  ///< else each fails or kills once
  std::string status;       ///< that the server does not take ...
  int status_failures = 0;  ///< ... this often
  bool is_aborted = false;  ///< and says that the deployment was aborted
};

/// What outlives the process: the disk, the server, and what will go wrong.
class FakeWorld final : public Installer, public Scripts, public Server, public DeploymentRecorder {
 public:
  FakeWorld();

  Faults faults;
  std::string provide_file_sizes;  ///< the module's answer
  Reboot reboot_answer = Reboot::custom;
  bool rollback_answer = true;
  bool has_empty_payload = false;
  bool is_misfit = false;          ///< the artifact is for another device
  std::vector<std::string> chain;  ///< what was done, in short names
  std::vector<std::string> statuses;
  int logs = 0;  ///< that were sent, taken or not
  std::optional<Error> log_failure;

  DeviceStore& store() { return store_; }
  MemoryDatabase& database() { return *database_; }
  postern::testing::Loop& loop() { return loop_; }

  /// Runs a deployment to its end, over as many power cuts as come.
  void deploy();
  Installed installed();

  // Installer
  net::awaitable<Status> download(http::Body& artifact, const Installed& installed,
                                  OnHeader on_header) override;
  net::awaitable<Status> call(std::string payload_type, std::string_view state) override;
  net::awaitable<Result<Reboot>> needs_reboot(std::string payload_type) override;
  net::awaitable<Result<bool>> supports_rollback(std::string payload_type) override;
  net::awaitable<Status> clean_up(std::string payload_type) override;
  net::awaitable<Status> reboot() override;
  // Scripts
  net::awaitable<Status> run(std::string_view step, ScriptPoint point) override;
  // Server
  void expire_token() override {}
  net::awaitable<Result<std::optional<Deployment>>> next_deployment(const std::string& device_type,
                                                                    const Provides& provides) override;
  net::awaitable<Status> report_status(const std::string& deployment_id, std::string_view status) override;
  net::awaitable<Status> upload_log(const std::string& deployment_id, std::string body) override;
  net::awaitable<Status> submit_inventory(const Inventory& inventory) override;
  net::awaitable<Result<std::unique_ptr<http::Body>>> download(const std::string& uri) override;
  std::optional<Duration> retry_after() const override { return asked_wait; }
  // DeploymentRecorder
  void begin(const std::string&) override {}
  void end() override {}
  Result<std::string> body() override { return "{}"; }

  // What the agent asks for.
  std::vector<Deployment> waiting;                     ///< the server's next deployments
  std::vector<Inventory> inventories;                  ///< that the server got
  std::vector<std::string> polls;                      ///< artifact_name of each poll
  std::optional<Duration> asked_wait;                  ///< by the server's Retry-After
  std::optional<Error> poll_failure;                   ///< of every poll
  std::function<void()> before_each;                   ///< called before anything is done
  std::function<void(const std::string&)> after_each;  ///< called when it was done

 private:
  net::awaitable<Status> start(Machine& machine, Deployment deployment);
  /// Does one thing: unless it goes wrong, that is.
  Status act(const std::string& name);
  bool happens(std::set<std::string>& set, const std::string& name) const;

  postern::testing::Loop loop_;
  std::shared_ptr<MemoryDatabase> database_;
  DeviceStore store_;
  NullLog log_;
};

}  // namespace postern::device::testing
