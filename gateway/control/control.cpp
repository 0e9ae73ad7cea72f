#include "gateway/control/control.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kConnectionsMax = 32;
/// Commands that wait, as for a verification, are not worth holding up an end.
constexpr Duration kGrace = std::chrono::seconds(1);

PrefetchActions actions_on(Keeper& keeper, ArtifactLookup& lookup) {
  return {.resolve = [&lookup](std::string what) { return lookup.resolve(std::move(what)); },
          .start = [&keeper](ArtifactKey key) { return keeper.prefetch(key); },
          .cancel = [&keeper](const ArtifactKey& key) { keeper.cancel_prefetch(key); },
          .list = [&keeper] { return keeper.list(); }};
}

}  // namespace

Control::Control(const ControlContext& context, std::string socket, ControlRoutes::GetStatus status)
    : prefetches_(context.state, actions_on(context.keeper, context.lookup), context.clock, context.log,
                  context.executor),
      routes_(context.keeper, prefetches_, std::move(status), context.clock, context.log),
      network_(std::move(socket), context.log),
      server_(
          network_, context.clock, context.random, context.log, {context.executor},
          [this](http::Request& request) { return router_.serve(request); },
          http::ServerOptions{.connections_max = kConnectionsMax}) {
  routes_.add_routes(router_);
}

Status Control::start() {
  prefetches_.start();
  auto listening = server_.listen({});
  return listening ? Status{} : Status(std::move(listening).error());
}

net::awaitable<Status> Control::stop() {
  Status outcome = co_await server_.stop(kGrace);
  if (auto stopped = co_await prefetches_.stop(); !stopped) outcome = std::move(stopped);
  co_return outcome;
}

}  // namespace postern::gateway
