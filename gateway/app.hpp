// The gateway, put together. Everything it stands on is passed in, so that a test can run it whole.
#pragma once

#include "gateway/admission/gatekeeper.hpp"
#include "gateway/cache/cache.hpp"
#include "gateway/config.hpp"
#include "gateway/download.hpp"
#include "gateway/relay/relay.hpp"
#include "gateway/traffic/traffic.hpp"
#include "gateway/trust/trust.hpp"
#include "shared/http/server.hpp"

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
  /// Starts to serve; returns where. Runs before, or on, the first executor.
  Result<Listening> listen();
  /// Stops serving; requests under way have `grace` to end, fills end at once. Runs on: the first executor.
  net::awaitable<Status> stop(Duration grace);

 private:
  App(const Machine& machine, const Config& config, const http::Url& upstream,
      std::vector<std::byte> link_secret);
  void add_routes();
  void add_collectors();
  std::vector<AttributeConfig> added_attributes() const;
  std::unique_ptr<Preauthorizer> make_preauthorizer();
  http::RequestHandler handler(http::Router& router);

  Machine machine_;
  const Config config_;
  Metrics metrics_;
  LinkSigner signer_;
  Upstream upstream_;
  Bindings bindings_;
  std::unique_ptr<Preauthorizer> preauthorizer_;
  std::unique_ptr<Gatekeeper> gatekeeper_;
  TrafficControl traffic_;
  Catalog catalog_;
  Links links_;
  Source source_;
  Cache cache_;
  Relay relay_;
  DownloadRoute download_route_;

  http::Router device_router_;  ///< what devices may ask for
  http::Router plain_router_;   ///< the same, or with mTLS only what needs no certificate
  http::Router metrics_router_;
  std::unique_ptr<http::Server> https_;
  std::unique_ptr<http::Server> http_;
  std::unique_ptr<http::Server> metrics_server_;
};

}  // namespace postern::gateway
