// Searches for devices, and filters that are kept (management-api 3.5, 3.6).
#pragma once

#include <boost/json/value.hpp>

#include "cloud/api/management/device_json.hpp"
#include "cloud/api/management/gate.hpp"
#include "cloud/inventory/search.hpp"
#include "shared/base/random.hpp"

namespace postern::cloud::management {

struct SearchRequest {
  SearchQuery query;  ///< without its devices
  std::optional<std::vector<std::string>> device_ids;
  Projection projection;
};
/// Reads the body of a search. Errors: invalid.
Result<SearchRequest> parse_search(const boost::json::value& body);

class DeviceFilters {
 public:
  DeviceFilters(Store& store, LastSeen& last_seen, DeviceSearch& search, Clock& clock, Random& random)
      : store_(store), last_seen_(last_seen), search_(search), clock_(clock), random_(random) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  Answer search(http::Request& request);
  Answer attributes(http::Request& request);
  Answer statistics(http::Request& request);
  Answer save(http::Request& request, const Session& session);
  Answer list(http::Request& request);
  Answer show(http::Request& request);
  Answer search_saved(http::Request& request);
  Answer erase(http::Request& request, const Session& session);

  Answer answer(SearchQuery query, Projection projection);
  net::awaitable<Result<SavedFilter>> find(http::Request& request);

  Store& store_;
  LastSeen& last_seen_;
  DeviceSearch& search_;
  Clock& clock_;
  Random& random_;
};

}  // namespace postern::cloud::management
