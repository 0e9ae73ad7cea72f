// The device API, relayed: each request is checked, passed on, and its answer passed back; what has to be
// changed on the way is changed here.
#pragma once

#include "gateway/admission/gatekeeper.hpp"
#include "gateway/metrics.hpp"
#include "gateway/relay/links.hpp"
#include "gateway/traffic/traffic.hpp"
#include "shared/http/router.hpp"

namespace postern::gateway {

/// Thread-safe.
class Relay {
 public:
  /// Without a gatekeeper (no mTLS) everybody is let through. `attributes` are added to every inventory.
  Relay(Upstream& upstream, Gatekeeper* gatekeeper, Links& links, TrafficControl& traffic, Metrics& metrics,
        Log& log, std::vector<AttributeConfig> attributes)
      : upstream_(upstream),
        gatekeeper_(gatekeeper),
        links_(links),
        traffic_(traffic),
        metrics_(metrics),
        log_(log),
        attributes_(std::move(attributes)) {}

  /// Adds the device routes. The router must not outlive this.
  void add_routes(http::Router& router);

 private:
  using Handler = net::awaitable<http::Response> (Relay::*)(http::Request&, std::string body);

  void add(http::Router& router, std::string_view method, std::string_view pattern, Handler handler);
  net::awaitable<http::Response> authenticate(http::Request& request, std::string body);
  net::awaitable<http::Response> poll(http::Request& request, std::string body);
  /// Too much is under way: the device will ask again (decision 5).
  bool must_wait(const http::Request& request, const boost::json::value& instruction);
  net::awaitable<http::Response> take_inventory(http::Request& request, std::string body);
  net::awaitable<http::Response> take_log(http::Request& request, std::string body);
  net::awaitable<http::Response> pass(http::Request& request, std::string body);

  /// Sends the request on with this body; the answer is read whole, and digestible.
  net::awaitable<http::Response> forward(http::Request& request, std::string body, bool is_poll = false);
  net::awaitable<http::Response> forward_auth(http::Request& request, const Gatekeeper::Admitted& admitted,
                                              std::string body);
  http::Response failure(const Error& error, const http::Request& request);

  Upstream& upstream_;
  Gatekeeper* gatekeeper_;
  Links& links_;
  TrafficControl& traffic_;
  Metrics& metrics_;
  Log& log_;
  std::vector<AttributeConfig> attributes_;
};

}  // namespace postern::gateway
