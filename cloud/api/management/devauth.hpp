// Devices' routes: who may talk to this server (management-api 2).
#pragma once

#include <boost/json/fwd.hpp>

#include "cloud/api/management/gate.hpp"
#include "cloud/store/store.hpp"
#include "shared/base/random.hpp"

namespace postern::cloud::management {

class Devauth {
 public:
  Devauth(Store& store, LastSeen& last_seen, Clock& clock, Random& random, Log& log)
      : store_(store), last_seen_(last_seen), clock_(clock), random_(random), log_(log) {}
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
  Answer preauthorize(http::Request& request, const Session& session);
  Answer decommission(http::Request& request, const Session& session);
  Answer dismiss(http::Request& request, const Session& session);
  Answer set_status(http::Request& request, const Session& session);
  Answer show_status(http::Request& request);
  Answer limit(http::Request& request);
  Answer revoke_token(http::Request& request, const Session& session);

  /// A device as it is shown, with when it was seen last.
  Result<boost::json::object> shown(const Device& device) const;

  Store& store_;
  LastSeen& last_seen_;
  Clock& clock_;
  Random& random_;
  Log& log_;
};

}  // namespace postern::cloud::management
