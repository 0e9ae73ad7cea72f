// What gateways ask of the cloud, with their own certificate.
#pragma once

#include "cloud/gateways/registry.hpp"
#include "cloud/plane.hpp"
#include "cloud/store/store.hpp"
#include "shared/http/router.hpp"

#include <boost/json/object.hpp>

namespace postern::cloud {

/// A request without the certificate of a gateway is answered with an empty 401. Thread-safe.
class GatewayRoutes {
 public:
  GatewayRoutes(Store& store, GatewayRegistry& gateways, const CloudPlane& plane, Clock& clock,
                Random& random, Log& log)
      : store_(store), gateways_(gateways), plane_(plane), clock_(clock), random_(random), log_(log) {}
  void add_routes(http::Router& router);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  using GatewayHandler = Answer (GatewayRoutes::*)(http::Request&, const Place&);
  /// A handler that runs only for gateways.
  http::Handler for_gateways(GatewayHandler handler);
  http::Response failure(const Error& error, const http::Request& request);

  /// 201 with Location: the key is preauthorized now. 204: it was accepted or preauthorized before. 409 with
  /// "reason": "rejected", or "conflict" when the identity is accepted elsewhere (decision 13).
  Answer preauthorize(http::Request& request, const Place& gateway);
  /// The artifacts that have exactly the name ?name=: an array, each with a link to fetch it by.
  Answer find_artifacts(http::Request& request, const Place& gateway);
  /// One artifact, with a link.
  Answer show_artifact(http::Request& request, const Place& gateway);
  boost::json::object describe(const Artifact& artifact) const;

  Store& store_;
  GatewayRegistry& gateways_;
  const CloudPlane& plane_;
  Clock& clock_;
  Random& random_;
  Log& log_;
};

}  // namespace postern::cloud
