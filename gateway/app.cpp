#include "gateway/app.hpp"

namespace postern::gateway {
namespace {

constexpr std::string_view kAliveRoute = "/api/internal/v1/gateway/alive";

}  // namespace

Result<std::unique_ptr<App>> App::make(const Machine& machine, const Config& config,
                                       std::vector<std::byte> link_secret) {
  auto upstream = http::Url::parse(config.upstream_url);
  if (!upstream) return std::move(upstream).error().within("UpstreamServer.URL");
  std::unique_ptr<App> app(new App(machine, config, *upstream, std::move(link_secret)));
  POSTERN_CHECK(app->bindings_.load());
  return app;
}

App::App(const Machine& machine, const Config& config, const http::Url& upstream,
         std::vector<std::byte> link_secret)
    : machine_(machine),
      config_(config),
      signer_(std::move(link_secret)),
      upstream_(machine.network, machine.clock, machine.executors,
                {.url = upstream,
                 .tls = [&trust = machine.trust] { return trust.upstream_tls(); },
                 .artifact_tls = [&trust = machine.trust] { return trust.artifact_tls(); },
                 .domain_whitelist = config.domain_whitelist}),
      bindings_(machine.state, machine.clock, config.rebinding),
      preauthorizer_(make_preauthorizer()),
      gatekeeper_(config.mtls ? std::make_unique<Gatekeeper>(
                                    bindings_, *preauthorizer_, machine.pool, machine.clock, machine.log,
                                    GatekeeperOptions{.name_field = config.binding_name_field,
                                                      .approved_path = config.approved_path})
                              : nullptr),
      traffic_({.uplink = config.uplink_calendar,
                .site = config.site_calendar,
                .downloads_max = config.downloads_max},
               machine.clock, machine.log, machine.executors.front()),
      catalog_(machine.state, machine.clock),
      links_(upstream_, catalog_, signer_, machine.clock, machine.log,
             {.enabled = config.proxies_artifacts,
              .gateway_url = config.gateway_url,
              .lifetime = config.link_lifetime}),
      source_(upstream_, catalog_, metrics_, traffic_.uplink,
              [this](ArtifactKey key) { return links_.renew(key); }),
      cache_(source_, catalog_, machine.chunks, machine.pool, metrics_, machine.clock, machine.log,
             machine.executors.front()),
      relay_(upstream_, gatekeeper_.get(), links_, traffic_, metrics_, machine.log, added_attributes()),
      download_route_(cache_, signer_, traffic_.site, traffic_.admission, metrics_, machine.clock,
                      machine.log) {
  add_routes();
  const auto serve = [&](http::Router& router, http::TlsSource tls) {
    return std::make_unique<http::Server>(
        machine.network, machine.clock, machine.random, machine.log, machine.executors, handler(router),
        http::ServerOptions{
            .tls = std::move(tls),
            .on_handshake = [this](HandshakeResult result) { metrics_.handshakes.add({to_string(result)}); },
            .should_end = [this](auto chain) { return machine_.trust.should_end(chain); },
            .connections_max = config_.connections_max,
            .handshakes_max = config_.handshakes_max});
  };
  if (config.https.enabled) https_ = serve(device_router_, [this] { return machine_.trust.server_tls(); });
  if (config.http.enabled) http_ = serve(plain_router_, nullptr);
  if (config.metrics.enabled) metrics_server_ = serve(metrics_router_, nullptr);
  add_collectors();
}

void App::add_collectors() {
  metrics_.collect([this](Scrape& scrape) { machine_.trust.tell(scrape); });
  metrics_.collect([this](Scrape& scrape) { traffic_.collect(scrape); });
  metrics_.collect([this](Scrape& scrape) {
    scrape.gauge("postern_gateway_build_info", "Which program this is; always 1.", 1,
                 {{"version", machine_.version}});
    const auto tell = [&scrape](std::string_view listener, const http::Server* server) {
      if (server == nullptr) return;
      scrape.gauge("postern_gateway_connections", "Connections that are open now.", server->connections(),
                   {{"listener", listener}});
    };
    tell("https", https_.get());
    tell("http", http_.get());
    tell("metrics", metrics_server_.get());
    scrape.gauge("postern_gateway_devices_bound", "Devices that are bound to a certificate.",
                 bindings_.size());
    const DatabaseStats stats = machine_.state.stats();
    scrape.counter("postern_gateway_store_writes_total", "Changes of the state that were committed.",
                   stats.writes);
    scrape.counter("postern_gateway_store_commits_total", "Commits that they took.", stats.commits);
    scrape.counter("postern_gateway_store_commit_seconds_total", "Time spent in commits.",
                   std::chrono::duration<double>(stats.commit_time).count());
    scrape.gauge("postern_gateway_store_waiting", "Changes of the state that wait for their commit.",
                 stats.waiting);
    scrape.gauge("postern_gateway_store_used_bytes", "Size of the state.", stats.used_bytes);
    if (machine_.chunks != nullptr) {
      scrape.gauge("postern_gateway_cache_used_bytes", "Size of the stored artifacts.",
                   machine_.chunks->used_bytes());
    }
  });
}

std::unique_ptr<Preauthorizer> App::make_preauthorizer() {
  if (!config_.upstream_certificate.empty())
    return std::make_unique<CertificatePreauthorizer>(upstream_, machine_.user_agent);
  return std::make_unique<ManagementPreauthorizer>(upstream_, machine_.log, config_.mender_username,
                                                   config_.mender_password);
}

std::vector<AttributeConfig> App::added_attributes() const {
  std::vector<AttributeConfig> attributes;
  if (!config_.device_system) return attributes;
  attributes.push_back({.name = "mender_gateway_system_id", .value = config_.system_id});
  attributes.insert(attributes.end(), config_.default_inventory.begin(), config_.default_inventory.end());
  return attributes;
}

void App::add_routes() {
  relay_.add_routes(device_router_);
  download_route_.add_routes(device_router_);
  const auto alive = [](http::Request&) -> net::awaitable<http::Response> {
    co_return http::Response::empty(204);
  };
  device_router_.add("GET", kAliveRoute, alive);
  plain_router_.add("GET", kAliveRoute, alive);
  // Whoever demands certificates would undo that by a second door without any.
  if (!config_.mtls) {
    relay_.add_routes(plain_router_);
    download_route_.add_routes(plain_router_);
  }
  metrics_router_.add("GET", "/metrics", [this](http::Request&) -> net::awaitable<http::Response> {
    co_return http::Response::text(200, "text/plain; version=0.0.4", metrics_.text());
  });
}

http::RequestHandler App::handler(http::Router& router) {
  return [&router](http::Request& request) { return router.serve(request); };
}

Result<App::Listening> App::listen() {
  Listening listening;
  const auto start = [](http::Server* server, const std::string& at,
                        std::optional<Endpoint>& where) -> Status {
    if (server == nullptr) return {};
    POSTERN_TRY(const Endpoint endpoint, Endpoint::parse(at));
    POSTERN_TRY(where, server->listen(endpoint));
    return {};
  };
  POSTERN_CHECK(start(https_.get(), config_.https.listen, listening.https));
  POSTERN_CHECK(start(http_.get(), config_.http.listen, listening.http));
  if (auto started = start(metrics_server_.get(), config_.metrics.listen, listening.metrics); !started) {
    // Devices matter more than being watched (device-protocol 8.7).
    machine_.log.error("gateway.metrics_not_served", {{"error", started.error().what}});
    metrics_server_.reset();
  }
  machine_.trust.start(machine_.executors.front(), machine_.pool, [this] {
    if (https_) https_->end_connections([this](auto chain) { return machine_.trust.should_end(chain); });
  });
  traffic_.start();
  return listening;
}

net::awaitable<Status> App::stop(Duration grace) {
  // Readers that wait for a fill would wait for ever once it has stopped, so fills end first and tell them.
  Status outcome = co_await cache_.stop();
  if (auto stopped = co_await machine_.trust.stop(); !stopped) outcome = std::move(stopped);
  for (http::Server* server : {https_.get(), http_.get(), metrics_server_.get()}) {
    if (server == nullptr) continue;
    if (auto stopped = co_await server->stop(grace); !stopped) outcome = std::move(stopped);
  }
  if (auto stopped = co_await traffic_.stop(); !stopped) outcome = std::move(stopped);
  co_return outcome;
}

}  // namespace postern::gateway
