// Devices' routes: who may talk to this server (management-api 2).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/store/store.hpp"
#include "shared/base/random.hpp"

namespace postern::cloud::management {

class Devauth {
 public:
  Devauth(Store& store, Clock& clock, Random& random, Log& log)
      : store_(store), clock_(clock), random_(random), log_(log) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  Answer list(http::Request& request);
  /// Of the gateway with this id; nothing when there is none.
  net::awaitable<Result<std::optional<std::uint32_t>>> ordinal_of_gateway(std::string_view id);
  Answer search(http::Request& request);
  Answer page_of(http::Request& request, DeviceFilter filter);
  Answer count(http::Request& request);
  Answer show(http::Request& request);
  Answer preauthorize(http::Request& request);
  Answer decommission(http::Request& request);
  Answer dismiss(http::Request& request);
  Answer set_status(http::Request& request);
  Answer show_status(http::Request& request);
  Answer limit(http::Request& request);
  Answer revoke_token(http::Request& request);

  Store& store_;
  Clock& clock_;
  Random& random_;
  Log& log_;
};

}  // namespace postern::cloud::management
