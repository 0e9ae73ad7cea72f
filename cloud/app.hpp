// The cloud server, put together. Everything it stands on is passed in, so that a test or a simulation can
// run it whole.
#pragma once

#include "cloud/api/download.hpp"
#include "cloud/api/gateways.hpp"
#include "cloud/api/management/artifacts.hpp"
#include "cloud/api/management/auditlogs.hpp"
#include "cloud/api/management/deployments.hpp"
#include "cloud/api/management/devauth.hpp"
#include "cloud/api/management/device_filters.hpp"
#include "cloud/api/management/gateways.hpp"
#include "cloud/api/management/generate.hpp"
#include "cloud/api/management/groups.hpp"
#include "cloud/api/management/inventory.hpp"
#include "cloud/api/management/releases.hpp"
#include "cloud/api/management/rollouts.hpp"
#include "cloud/api/management/settings.hpp"
#include "cloud/api/management/useradm.hpp"
#include "cloud/inventory/search.hpp"
#include "cloud/plane.hpp"
#include "cloud/secrets.hpp"
#include "cloud/store/kv_store.hpp"
#include "shared/async/task_scope.hpp"
#include "shared/device_api/server.hpp"
#include "shared/http/server.hpp"

namespace postern::cloud {

/// What a cloud runs on. All of it outlives the App.
struct Machine {
  Network& network;
  Clock& clock;
  Random& random;
  Log& log;
  Database& database;  ///< opened with the tables of the store
  Pool& pool;
  std::vector<net::any_io_executor> executors;  ///< connections are spread over them
};

struct AppOptions {
  std::string public_url;  ///< what download links begin with; empty: https:// and where it listens
  std::chrono::seconds link_lifetime = std::chrono::hours(24);
  std::uint64_t free_bytes_min = 0;
  management::Rollouts::Options rollouts{};
  std::uint64_t storage_bytes_max = 0;  ///< of all artifacts together; 0: no limit
  std::shared_ptr<const std::vector<PublicKey>>
      verify_keys;                               ///< that sign artifacts; null: none has to be signed
  std::shared_ptr<const TlsServerContext> tls;   ///< null: plain HTTP, for tests
  std::shared_ptr<const GatewayTrust> gateways;  ///< by which `tls` checks clients; null: there are none
  /// How many passwords are checked at once; 0: where requests run, for tests and simulation.
  std::size_t password_threads = 0;
  std::uint64_t password_cost = kPasswordCost;
};

class App {
 public:
  App(const Machine& machine, std::unique_ptr<Directory> artifacts, Secrets secrets, AppOptions options);

  /// Brings files and records together after a crash. Call it once, before listen().
  net::awaitable<Status> recover();
  /// Starts to serve; returns where. Runs before, or on, the first executor.
  Result<Endpoint> listen(const Endpoint& at);
  /// Stops serving; requests under way have `grace` to end. Then what is kept in memory is stored. Runs on:
  /// the first executor.
  net::awaitable<Status> stop(Duration grace);

  Accounts& accounts() { return accounts_; }
  const http::Router& router() const { return router_; }

 private:
  http::RequestHandler route();
  /// Keeps the index close to the store, and stores what is kept in memory.
  net::awaitable<void> maintain();

  static constexpr std::chrono::seconds kIndexInterval{5};
  static constexpr std::chrono::minutes kFlushInterval{1};

  AppOptions options_;
  Clock& clock_;
  Log& log_;
  net::any_io_executor home_;
  KvStore store_;
  LastSeen last_seen_;
  DeviceSearch search_;
  BlobDirectory blobs_;
  DeviceTokens device_tokens_;
  UserTokens user_tokens_;
  LinkSigner links_;
  GatewayRegistry registry_;

  CloudPlane plane_;
  Pool password_pool_;
  Accounts accounts_;
  ArtifactIntake intake_;
  ArtifactRemoval removal_;
  ArtifactGenerator generator_;

  device_api::Server device_routes_;
  DownloadRoute download_route_;
  GatewayRoutes gateway_routes_;
  management::Gate gate_;
  management::Useradm useradm_;
  management::SettingsRoutes settings_;
  management::AuditLogs audit_logs_;
  management::Devauth devauth_;
  management::Gateways gateways_;
  management::InventoryRoutes inventory_;
  management::Groups groups_;
  management::DeviceFilters device_filters_;
  management::Artifacts artifacts_;
  management::Generate generate_;
  management::Releases releases_;
  management::Deployments deployments_;
  management::Rollouts rollouts_;
  http::Router router_;
  http::Server server_;
  TaskScope tasks_;
};

}  // namespace postern::cloud
