// The gateway, put together. Everything it stands on is passed in, so that a test can run it whole.
#pragma once

#include "gateway/admission/gatekeeper.hpp"
#include "gateway/cache/keeper.hpp"
#include "gateway/config.hpp"
#include "gateway/control/control.hpp"
#include "gateway/download.hpp"
#include "gateway/readiness.hpp"
#include "gateway/relay/relay.hpp"
#include "gateway/traffic/traffic.hpp"
#include "gateway/trust/trust.hpp"
#include "shared/http/server.hpp"
#include "shared/io/supervisor.hpp"

namespace postern::gateway {

/// What a gateway runs on. All of it outlives the App.
struct Machine {
  Network& network;
  Clock& clock;
  Random& random;
  Log& log;
  Database& state;     ///< opened with the tables of store/tables.hpp
  ChunkStore* chunks;  ///< null: artifacts are not cached
  Pool& pool;
  Trust& trust;                                 ///< certificates, keys and lists
  std::vector<net::any_io_executor> executors;  ///< connections are spread over them; fills run on the first
  std::string user_agent;                       ///< with which the gateway speaks for itself
  std::string version;
  const RecentLog& recent;       ///< what `log` writes to
  const Supervisor& supervisor;  ///< told when everything is up, and that it still is
};

class App {
 public:
  /// `config` was checked. Errors: invalid (upstream URL), corrupt (stored state).
  static Result<std::unique_ptr<App>> make(const Machine& machine, const Config& config,
                                           std::vector<std::byte> link_secret);

  struct Listening {
    std::optional<Endpoint> https;
    std::optional<Endpoint> http;
    std::optional<Endpoint> metrics;
  };
  /// Starts to serve; returns where. Runs before, or on, the first executor. Errors: those of the listeners
  /// for devices, and conflict when another gateway has the control socket.
  Result<Listening> listen();
  /// Stops serving; requests under way have `grace` to end, fills end at once. Runs on: the first executor.
  net::awaitable<Status> stop(Duration grace);

 private:
  App(const Machine& machine, const Config& config, std::vector<http::Url> upstreams,
      std::vector<std::byte> link_secret);
  CacheOptions cache_options() const;
  void add_routes();
  void add_collectors();
  std::vector<AttributeConfig> added_attributes() const;
  std::unique_ptr<Preauthorizer> make_preauthorizer();
  std::unique_ptr<ArtifactFinder> make_finder();
  void add_checks();
  Result<Listening> listen_all();
  net::awaitable<Status> renew_link(ArtifactKey key);
  net::awaitable<GatewayStatus> status();
  http::RequestHandler handler(http::Router& router);

  Machine machine_;
  const Config config_;
  Metrics metrics_;
  LinkSigner signer_;
  Upstream upstream_;
  ManagementSession session_;
  Bindings bindings_;
  std::unique_ptr<Preauthorizer> preauthorizer_;
  std::unique_ptr<Gatekeeper> gatekeeper_;
  TrafficControl traffic_;
  Catalog catalog_;
  Links links_;
  std::unique_ptr<ArtifactFinder> finder_;
  ArtifactLookup lookup_;
  Source source_;
  Cache cache_;
  Keeper keeper_;
  Relay relay_;
  DownloadRoute download_route_;

  http::Router device_router_;  ///< what devices may ask for
  http::Router plain_router_;   ///< the same, or with mTLS only what needs no certificate
  http::Router metrics_router_;
  std::unique_ptr<http::Server> https_;
  std::unique_ptr<http::Server> http_;
  std::unique_ptr<http::Server> metrics_server_;

  const WallTime started_;
  const SteadyTime begun_;
  Listening listening_;
  LoopMonitor loops_;
  StoreProbe probe_;
  Readiness readiness_;
  Control control_;
  TaskScope scope_;
};

}  // namespace postern::gateway
