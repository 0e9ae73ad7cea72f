#include "cloud/app.hpp"

namespace postern::cloud {

App::App(const Machine& machine, std::unique_ptr<Directory> artifacts, Secrets secrets, AppOptions options)
    : options_(std::move(options)),
      store_(machine.database),
      blobs_(std::move(artifacts), machine.pool, machine.log, options_.free_bytes_min),
      device_tokens_(std::move(secrets.device_tokens)),
      user_tokens_(std::move(secrets.user_tokens)),
      links_(std::move(secrets.link_secret)),
      registry_(store_, machine.clock, machine.random, machine.log, options_.gateways),
      plane_(store_, registry_, device_tokens_, links_, machine.clock, machine.random, machine.log,
             {.public_url = options_.public_url, .link_lifetime = options_.link_lifetime}),
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
      devauth_(store_, machine.clock, machine.random, machine.log),
      gateways_(store_, registry_),
      inventory_(store_),
      artifacts_({store_, blobs_, intake_, removal_, plane_, machine.pool, machine.clock},
                 options_.storage_bytes_max),
      generate_(generator_),
      releases_(store_, removal_, machine.clock),
      deployments_(store_, machine.clock, machine.random, machine.log),
      rollouts_(store_, plane_.polls(), machine.clock, machine.random, machine.log, options_.rollouts),
      server_(machine.network, machine.clock, machine.random, machine.log, machine.executors, route(),
              {.tls = options_.tls ? http::TlsSource([tls = options_.tls] { return tls; }) : nullptr}) {}

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
  co_return blobs_.keep_only(ids);
}

net::awaitable<Status> App::stop(Duration grace) {
  const Status stopped = co_await server_.stop(grace);
  const Status flushed = co_await registry_.flush();
  const Status flushed_accounts = co_await accounts_.flush();
  if (!stopped) co_return stopped;
  co_return flushed ? flushed_accounts : flushed;
}

Result<Endpoint> App::listen(const Endpoint& at) {
  POSTERN_TRY(Endpoint endpoint, server_.listen(at));
  if (options_.public_url.empty()) {
    plane_.set_public_url(fmt::format("{}://{}", options_.tls ? "https" : "http", endpoint.to_string()));
  }
  return endpoint;
}

}  // namespace postern::cloud
