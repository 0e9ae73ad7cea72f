// Devices and what they say of themselves, read by operators, and what operators say of them (management-api
// 3.1 to 3.3).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/inventory/search.hpp"
#include "shared/base/random.hpp"
#include "shared/http/url.hpp"

namespace postern::cloud::management {

/// The search that the parameters of the v1 list stand for, without its page. Errors: invalid.
Result<SearchQuery> parse_list_query(const http::QueryParameters& parameters);

class InventoryRoutes {
 public:
  InventoryRoutes(Store& store, LastSeen& last_seen, DeviceSearch& search, Clock& clock, Random& random)
      : store_(store), last_seen_(last_seen), search_(search), clock_(clock), random_(random) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  Answer list(http::Request& request);
  Answer show(http::Request& request);
  Answer clear(http::Request& request, const Session& session);
  Answer set_tags(http::Request& request, const Session& session, bool replaces);

  Store& store_;
  LastSeen& last_seen_;
  DeviceSearch& search_;
  Clock& clock_;
  Random& random_;
};

}  // namespace postern::cloud::management
