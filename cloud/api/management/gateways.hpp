// Gateways, read by operators.
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/gateways/registry.hpp"
#include "cloud/store/store.hpp"

namespace postern::cloud::management {

class Gateways {
 public:
  Gateways(Store& store, const GatewayRegistry& registry) : store_(store), registry_(registry) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  /// Ordered by name; with Link and X-Total-Count.
  Answer list(http::Request& request);
  /// By id, or by name. Errors: conflict, when gateways of several authorities have the name.
  Answer show(http::Request& request);

  Store& store_;
  const GatewayRegistry& registry_;
};

}  // namespace postern::cloud::management
