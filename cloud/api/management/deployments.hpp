// Deployments' routes (management-api 4.7, 4.8).
#pragma once

#include <boost/json.hpp>

#include "cloud/api/management/gate.hpp"
#include "cloud/deployments/plan.hpp"
#include "cloud/store/store.hpp"
#include "shared/base/random.hpp"

namespace postern::cloud::management {

class Deployments {
 public:
  Deployments(Store& store, Clock& clock, Random& random, Log& log)
      : store_(store), clock_(clock), random_(random), log_(log) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  using Decode = Result<DeploymentOrder> (*)(const boost::json::value& body);
  /// `deployments` is the path that the new one stands under.
  Answer create(http::Request& request, const Session& session, Decode decode, std::string_view deployments);
  Answer list(http::Request& request);
  Answer show(http::Request& request);
  Answer statistics(http::Request& request);
  /// Aborts, pauses or resumes.
  Answer steer(http::Request& request, const Session& session);
  Answer devices(http::Request& request);
  Answer devices_page(http::Request& request);
  Answer targets(http::Request& request);
  Answer log_of(http::Request& request);

  Store& store_;
  Clock& clock_;
  Random& random_;
  Log& log_;
};

}  // namespace postern::cloud::management
