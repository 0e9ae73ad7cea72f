// The device routes: HTTP in, calls to a DevicePlane, HTTP out, with the answers that break no client.
#pragma once

#include "shared/base/log.hpp"
#include "shared/device_api/plane.hpp"
#include "shared/http/router.hpp"

namespace postern::device_api {

/// How a request came, as a plane wants to know it.
Arrival arrival_of(const http::Request& request);

/// The token of a device's request; none when there is no Authorization field with the scheme Bearer.
std::optional<std::string> bearer_token(const http::Request& request);

/// Serves the device protocol over a plane. Rules (decisions 1 to 6): a 401 has an empty body; nothing but
/// 400, 401, 404, 409 and 500 is an error here; bodies up to 8 MiB are read.
class Server {
 public:
  Server(DevicePlane& plane, Log& log) : plane_(plane), log_(log) {}

  /// Adds the device routes. The router must not outlive this.
  void add_routes(http::Router& router);

 private:
  net::awaitable<http::Response> authenticate(http::Request& request);
  net::awaitable<http::Response> poll(http::Request& request, Caller caller, Result<rollout::Device> device);
  net::awaitable<http::Response> report_status(http::Request& request, Caller caller);
  net::awaitable<http::Response> store_log(http::Request& request, Caller caller);
  net::awaitable<http::Response> take_inventory(http::Request& request, Caller caller, InventoryMode mode);

  using Authorized = std::function<net::awaitable<http::Response>(http::Request&, Caller)>;
  /// A handler that runs only for a device with a good token.
  http::Handler authorized(Authorized handler);
  http::Response failure(const Error& error, const http::Request& request);

  DevicePlane& plane_;
  Log& log_;
};

}  // namespace postern::device_api
