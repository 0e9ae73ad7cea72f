#include "cloud/app.hpp"

#include "shared/base/cancellation.hpp"

namespace postern::cloud {

App::App(const Machine& machine, std::unique_ptr<Directory> artifacts, Secrets secrets, AppOptions options)
    : options_(std::move(options)),
      clock_(machine.clock),
      log_(machine.log),
      home_(machine.executors.front()),
      store_(machine.database),
      last_seen_(store_),
      search_(store_, last_seen_, machine.clock, machine.pool, machine.log),
      blobs_(std::move(artifacts), machine.pool, machine.log, options_.free_bytes_min),
      device_tokens_(std::move(secrets.device_tokens)),
      user_tokens_(std::move(secrets.user_tokens)),
      links_(std::move(secrets.link_secret)),
      registry_(store_, machine.clock, machine.random, machine.log, options_.gateways),
      plane_(store_, last_seen_, registry_, device_tokens_, links_, machine.clock, machine.random,
             machine.log, {.public_url = options_.public_url, .link_lifetime = options_.link_lifetime}),
      password_pool_(options_.password_threads),
      accounts_(store_, user_tokens_, password_pool_, machine.clock, machine.random, machine.log,
                options_.password_cost),
      intake_(store_, blobs_, machine.pool, machine.clock, machine.random, machine.log,
              {.storage_bytes_max = options_.storage_bytes_max, .verify_keys = options_.verify_keys}),
      removal_(store_, blobs_, machine.pool, machine.clock, machine.log),
      generator_(intake_, blobs_, machine.pool, machine.clock, machine.random),
      device_routes_(plane_, machine.log),
      download_route_(store_, blobs_, links_, registry_, machine.pool, machine.clock, machine.log),
      gateway_routes_(store_, registry_, plane_, machine.clock, machine.random, machine.log),
      gate_(accounts_, machine.log),
      useradm_(store_, accounts_),
      settings_(store_, machine.clock, machine.random),
      audit_logs_(store_),
      devauth_(store_, last_seen_, machine.clock, machine.random, machine.log),
      gateways_(store_, registry_),
      inventory_(store_, last_seen_, search_, machine.clock, machine.random),
      groups_(store_, search_, machine.clock),
      device_filters_(store_, last_seen_, search_, machine.clock, machine.random),
      artifacts_({store_, blobs_, intake_, removal_, plane_, machine.pool, machine.clock},
                 options_.storage_bytes_max),
      generate_(generator_),
      releases_(store_, removal_, machine.clock),
      deployments_(store_, machine.clock, machine.random, machine.log),
      rollouts_(store_, plane_.polls(), machine.clock, options_.rollouts),
      server_(machine.network, machine.clock, machine.random, machine.log, machine.executors, route(),
              {.tls = options_.tls ? http::TlsSource([tls = options_.tls] { return tls; }) : nullptr}),
      tasks_(home_, machine.log) {
  store_.on_device_change([this](std::span<const std::uint32_t> devices) { search_.note_changes(devices); });
}

http::RequestHandler App::route() {
  device_routes_.add_routes(router_);
  download_route_.add_routes(router_);
  gateway_routes_.add_routes(router_);
  useradm_.add_routes(router_, gate_);
  settings_.add_routes(router_, gate_);
  audit_logs_.add_routes(router_, gate_);
  devauth_.add_routes(router_, gate_);
  gateways_.add_routes(router_, gate_);
  inventory_.add_routes(router_, gate_);
  groups_.add_routes(router_, gate_);
  device_filters_.add_routes(router_, gate_);
  artifacts_.add_routes(router_, gate_);
  generate_.add_routes(router_, gate_);
  releases_.add_routes(router_, gate_);
  deployments_.add_routes(router_, gate_);
  rollouts_.add_routes(router_, gate_);
  return [this](http::Request& request) { return router_.serve(request); };
}

net::awaitable<Status> App::recover() {
  std::set<std::string> ids;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto artifacts, tx.artifacts().list());
    for (const Artifact& artifact : artifacts) ids.insert(artifact.id);
    return {};
  }));
  POSTERN_CO_CHECK(blobs_.keep_only(ids));
  POSTERN_CO_CHECK(co_await last_seen_.load());
  co_return co_await search_.rebuild();
}

net::awaitable<Status> App::stop(Duration grace) {
  const Status stopped = co_await server_.stop(grace);
  tasks_.stop(net::cancellation_type::terminal);
  const Status joined = co_await tasks_.join(clock_, std::max<Duration>(grace, std::chrono::seconds(1)));
  const Status flushed = co_await registry_.flush();
  const Status sightings = co_await last_seen_.flush();
  const Status uses = co_await accounts_.flush();
  for (const Status& status : {stopped, joined, flushed, sightings}) {
    if (!status) co_return status;
  }
  co_return uses;
}

Result<Endpoint> App::listen(const Endpoint& at) {
  POSTERN_TRY(Endpoint endpoint, server_.listen(at));
  if (options_.public_url.empty()) {
    plane_.set_public_url(fmt::format("{}://{}", options_.tls ? "https" : "http", endpoint.to_string()));
  }
  tasks_.spawn(home_, "maintain", maintain());
  return endpoint;
}

net::awaitable<void> App::maintain() {
  SteadyTime flush_at = clock_.now() + kFlushInterval;
  while (!co_await was_cancelled()) {
    if (!co_await clock_.sleep(kIndexInterval)) co_return;
    if (const Status done = co_await search_.catch_up(); !done) {
      log_.error("inventory.index_failed", {{"error", done.error().what}});
    }
    if (clock_.now() < flush_at) continue;
    flush_at = clock_.now() + kFlushInterval;
    if (const Status done = co_await last_seen_.flush(); !done) {
      log_.error("inventory.flush_failed", {{"error", done.error().what}});
    }
  }
}

}  // namespace postern::cloud
