#include "gateway/app.hpp"

#include <unistd.h>
#include "shared/operating/watchdog.hpp"

namespace postern::gateway {
namespace {

/// Connections to the metrics listener.
constexpr std::size_t kWatchersMax = 100;
constexpr std::string_view kAliveRoute = "/api/internal/v1/gateway/alive";

}  // namespace

Result<std::unique_ptr<App>> App::make(const Machine& machine, const Config& config,
                                       std::vector<std::byte> link_secret) {
  std::vector<http::Url> upstreams;
  for (const std::string& text : config.upstream_urls) {
    auto url = http::Url::parse(text);
    if (!url) {
      return std::move(url).error().within(upstreams.empty() ? "UpstreamServer.URL"
                                                             : "Postern.Upstream.URLs");
    }
    upstreams.push_back(*std::move(url));
  }
  if (upstreams.empty()) return invalid("UpstreamServer.URL is missing");
  std::unique_ptr<App> app(new App(machine, config, std::move(upstreams), std::move(link_secret)));
  POSTERN_CHECK(app->bindings_.load());
  POSTERN_CHECK(app->control_.load());
  return app;
}

App::App(const Machine& machine, const Config& config, std::vector<http::Url> upstreams,
         std::vector<std::byte> link_secret)
    : machine_(machine),
      config_(config),
      signer_(std::move(link_secret)),
      upstream_(machine.network, machine.clock, machine.log, machine.executors,
                {.urls = std::move(upstreams),
                 .tls = [&trust = machine.trust] { return trust.upstream_tls(); },
                 .artifact_tls = [&trust = machine.trust] { return trust.artifact_tls(); },
                 .domain_whitelist = config.domain_whitelist,
                 .proxies = config.upstream_proxies,
                 .return_after = config.upstream_return_after}),
      session_(upstream_, machine.log, config.mender_username, config.mender_password),
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
              .lifetime = config.link_lifetime,
              .is_wanted =
                  [this](const ArtifactKey& key) {
                    lookup_.learn(key);
                    return cache_.want(key);
                  }}),
      finder_(make_finder()),
      lookup_(finder_.get(), upstream_, catalog_, machine.clock, machine.log, machine.executors.front()),
      source_(upstream_, catalog_, metrics_, traffic_.uplink,
              [this](ArtifactKey key) { return renew_link(key); }),
      cache_(source_, catalog_, machine.chunks, machine.pool, metrics_, machine.clock, machine.log,
             machine.executors.front(), cache_options()),
      keeper_(cache_, catalog_, machine.chunks, machine.pool, machine.log),
      relay_(upstream_, gatekeeper_.get(), links_, traffic_, metrics_, machine.clock, machine.log,
             {.attributes = added_attributes(),
              .body_max = config.deadlines.body,
              .tunnels = {.count_max = config.tunnels_max, .idle_max = config.tunnel_idle_max}}),
      download_route_(cache_, signer_, gatekeeper_.get(), traffic_.site, traffic_.admission, metrics_,
                      machine.clock, machine.log),
      started_(machine.clock.wall()),
      begun_(machine.clock.now()),
      loops_(machine.clock, machine.log, machine.executors),
      probe_(machine.state, machine.clock, machine.log, machine.executors.front()),
      readiness_(loops_),
      control_({.keeper = keeper_,
                .lookup = lookup_,
                .state = machine.state,
                .clock = machine.clock,
                .random = machine.random,
                .log = machine.log,
                .executor = machine.executors.front()},
               config.control_socket, [this] { return status(); }),
      scope_(machine.executors.front(), machine.log) {
  add_checks();
  add_routes();
  const auto serve = [&](http::Router& router, http::TlsSource tls) {
    return std::make_unique<http::Server>(
        machine.network, machine.clock, machine.random, machine.log, machine.executors, handler(router),
        http::ServerOptions{
            .tls = std::move(tls),
            .on_handshake = [this](HandshakeResult result) { metrics_.handshakes.add({to_string(result)}); },
            .should_end = [this](auto chain) { return machine_.trust.should_end(chain); },
            .connections_max = config_.connections_max,
            .handshakes_max = config_.handshakes_max,
            .handshake_max = config_.deadlines.handshake,
            .head_max = config_.deadlines.head,
            .idle_max = config_.deadlines.idle,
            .progress_max = config_.deadlines.progress});
  };
  if (config.https.enabled) https_ = serve(device_router_, [this] { return machine_.trust.server_tls(); });
  if (config.http.enabled) http_ = serve(plain_router_, nullptr);
  if (config.metrics.enabled) {
    // On one executor, because readiness is looked after there.
    metrics_server_ = std::make_unique<http::Server>(
        machine.network, machine.clock, machine.random, machine.log,
        std::vector<net::any_io_executor>{machine.executors.front()}, handler(metrics_router_),
        http::ServerOptions{.connections_max = kWatchersMax});
  }
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
    for (const auto& [origin, health] : upstream_.states()) {
      scrape.gauge("postern_gateway_upstream_up", "Whether the upstream has answered when it was last asked.",
                   health.standing == Standing::up ? 1 : 0, {{"upstream", origin}});
      scrape.gauge("postern_gateway_upstream_since_seconds",
                   "Since when, in seconds since 1970; 0: never asked.",
                   std::chrono::duration_cast<std::chrono::seconds>(health.since.time_since_epoch()).count(),
                   {{"upstream", origin}});
      scrape.counter("postern_gateway_upstream_failures_total", "Requests that it did not answer.",
                     health.failures, {{"upstream", origin}});
    }
  });
}

CacheOptions App::cache_options() const {
  CacheOptions options{.is_verified_only = config_.serves_verified_only,
                       .keys = machine_.trust.verify_keys(),
                       .keep_last = config_.cache_keep_last,
                       .scrub_interval = config_.scrub_interval,
                       .retry_pauses = {}};
  for (const int factor : {1, 5, 25}) options.retry_pauses.push_back(config_.cache_retry_pause * factor);
  return options;
}

std::unique_ptr<Preauthorizer> App::make_preauthorizer() {
  if (!config_.upstream_certificate.empty())
    return std::make_unique<CertificatePreauthorizer>(upstream_, machine_.user_agent);
  return std::make_unique<ManagementPreauthorizer>(session_);
}

std::unique_ptr<ArtifactFinder> App::make_finder() {
  if (!config_.upstream_certificate.empty())
    return std::make_unique<CertificateFinder>(upstream_, machine_.user_agent);
  if (!config_.mender_username.empty()) return std::make_unique<ManagementFinder>(session_);
  return nullptr;
}

net::awaitable<Status> App::renew_link(ArtifactKey key) {
  // A device's own poll costs the upstream least; after a restart none is known.
  auto renewed = co_await links_.renew(key);
  if (renewed || finder_ == nullptr) co_return renewed;
  auto found = co_await lookup_.renew(key);
  co_return found ? found : renewed;
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
  readiness_.add_routes(metrics_router_);
  metrics_router_.add("GET", "/metrics", [this](http::Request&) -> net::awaitable<http::Response> {
    co_return http::Response::text(200, "text/plain; version=0.0.4", metrics_.text());
  });
}

http::RequestHandler App::handler(http::Router& router) {
  return [&router](http::Request& request) { return router.serve(request); };
}

void App::add_checks() {
  readiness_.add("event_loops", Need::needed, [this]() -> net::awaitable<Status> {
    if (loops_.is_alive()) co_return Status{};
    co_return exhausted(
        fmt::format("one has not answered for {} s", loops_.silence() / std::chrono::seconds(1)));
  });
  readiness_.add("listeners", Need::needed, [this]() -> net::awaitable<Status> {
    const bool all_up =
        (!config_.https.enabled || listening_.https) && (!config_.http.enabled || listening_.http);
    if (all_up) co_return Status{};
    co_return transient("not all of them are up");
  });
  readiness_.add("server_certificate", Need::needed, [this]() -> net::awaitable<Status> {
    for (const Deadline& deadline : machine_.trust.deadlines()) {
      if (deadline.which == "server" && deadline.at <= machine_.clock.wall()) {
        co_return invalid(fmt::format("that of {} ended at {}", deadline.subject, to_rfc3339(deadline.at)));
      }
    }
    co_return Status{};
  });
  readiness_.add("state_store", Need::needed, [this] { return probe_.check(); });
  // A site goes on without it.
  readiness_.add("upstream", Need::useful, [this]() -> net::awaitable<Status> {
    for (const auto& [origin, health] : upstream_.states()) {
      if (health.standing != Standing::down) co_return Status{};
    }
    co_return transient("none can be reached");
  });
}

net::awaitable<GatewayStatus> App::status() {
  GatewayStatus status{.version = machine_.version,
                       .pid = getpid(),
                       .started = started_,
                       .uptime = machine_.clock.now() - begun_,
                       .now = machine_.clock.wall(),
                       .findings = co_await readiness_.findings(),
                       .devices_bound = bindings_.size(),
                       .caches = machine_.chunks != nullptr,
                       .cache_bytes_max = config_.cache_bytes_max,
                       .prefetches = control_.prefetches().list(),
                       .traffic = {.uplink_artifact_bytes = metrics_.uplink_artifact_bytes,
                                   .site_artifact_bytes = metrics_.site_artifact_bytes},
                       .recent = machine_.recent.lines()};
  const auto tell = [&](std::string name, const http::Server* server, const std::optional<Endpoint>& at) {
    if (server == nullptr || !at) return;
    status.listeners.push_back(
        {.name = std::move(name), .address = at->to_string(), .connections = server->connections()});
  };
  tell("https", https_.get(), listening_.https);
  tell("http", http_.get(), listening_.http);
  tell("metrics", metrics_server_.get(), listening_.metrics);
  for (const Deadline& deadline : machine_.trust.deadlines()) {
    status.certificates.push_back(
        {.which = deadline.which, .subject = deadline.subject, .expires = deadline.at});
  }
  for (const auto& [origin, health] : upstream_.states()) {
    const bool is_known = health.standing != Standing::unknown;
    status.upstreams.push_back(
        {.url = origin,
         .is_up = is_known ? std::optional(health.standing == Standing::up) : std::nullopt,
         .since = is_known ? std::optional(health.since) : std::nullopt});
  }
  if (machine_.chunks != nullptr) status.cache_used_bytes = machine_.chunks->used_bytes();
  if (auto kept = keeper_.list()) status.artifacts = *std::move(kept);
  co_return status;
}

Result<App::Listening> App::listen() {
  POSTERN_TRY(listening_, listen_all());
  loops_.start();
  if (auto started = control_.start(); !started) {
    // Two gateways at one socket would be a surprise for the operator; anything else is no reason to stay
    // down.
    if (started.error().reason == Reason::conflict)
      return std::move(started).error().within("Postern.Control.Socket");
    machine_.log.error("gateway.control_not_served", {{"error", started.error().what}});
  }
  if (const auto interval = machine_.supervisor.watchdog()) {
    scope_.spawn(machine_.executors.front(), "gateway.watchdog",
                 feed_watchdog(machine_.supervisor, loops_, machine_.clock, machine_.log, *interval));
  }
  return listening_;
}

Result<App::Listening> App::listen_all() {
  Listening listening;
  cache_.start();
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
  machine_.trust.start(
      machine_.executors.front(), machine_.pool,
      {.connections =
           [this] {
             if (https_) {
               https_->end_connections([this](auto chain) { return machine_.trust.should_end(chain); });
             }
           },
       .verify_keys = [this] { cache_.take_keys(machine_.trust.verify_keys()); }});
  upstream_.start();
  traffic_.start();
  return listening;
}

net::awaitable<Status> App::stop(Duration grace) {
  Status outcome;
  const auto note = [&outcome](Status stopped) {
    if (!stopped) outcome = std::move(stopped);
  };
  note(co_await control_.stop());
  // Readers that wait for a fill would wait for ever once it has stopped, so fills end first and tell them.
  note(co_await cache_.stop());
  note(co_await lookup_.stop());
  note(co_await machine_.trust.stop());
  relay_.stop();
  for (http::Server* server : {https_.get(), http_.get(), metrics_server_.get()}) {
    if (server == nullptr) continue;
    note(co_await server->stop(grace));
  }
  note(co_await probe_.stop());
  scope_.stop(net::cancellation_type::terminal);
  note(co_await scope_.join(machine_.clock, std::chrono::seconds(5)));
  note(co_await loops_.stop());
  note(co_await upstream_.stop());
  note(co_await traffic_.stop());
  co_return outcome;
}

}  // namespace postern::gateway
