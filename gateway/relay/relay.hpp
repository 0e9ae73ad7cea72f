// The device API, relayed: each request is checked, passed on, and its answer passed back; what has to be
// changed on the way is changed here.
#pragma once

#include "gateway/admission/gatekeeper.hpp"
#include "gateway/metrics.hpp"
#include "gateway/relay/links.hpp"
#include "gateway/relay/tunnels.hpp"
#include "gateway/traffic/traffic.hpp"
#include "shared/http/router.hpp"

namespace postern::gateway {

struct RelayOptions {
  std::vector<AttributeConfig> attributes;  ///< added to every inventory
  /// How long the body of a request, or that of an answer, may take in all: who sends a byte now and then
  /// keeps every shorter deadline.
  Duration body_max = std::chrono::minutes(5);
  TunnelOptions tunnels;
};

/// Thread-safe.
class Relay {
 public:
  /// Without a gatekeeper (no mTLS) everybody is let through.
  Relay(Upstream& upstream, Gatekeeper* gatekeeper, Links& links, TrafficControl& traffic, Metrics& metrics,
        Clock& clock, Log& log, RelayOptions options)
      : upstream_(upstream),
        gatekeeper_(gatekeeper),
        links_(links),
        traffic_(traffic),
        metrics_(metrics),
        clock_(clock),
        log_(log),
        options_(std::move(options)),
        tunnels_(metrics, clock, log, options_.tunnels) {}

  /// Adds the device routes. The router must not outlive this.
  void add_routes(http::Router& router);
  /// Ends WebSockets, which no request's end would end. Returns at once.
  void stop() { tunnels_.stop(); }

 private:
  using Handler = net::awaitable<http::Response> (Relay::*)(http::Request&, std::string body);

  enum class Needs { token, nothing };
  void add(http::Router& router, std::string_view method, std::string_view pattern, Handler handler,
           Needs needs = Needs::token);
  net::awaitable<http::Response> serve(http::Request& request, Handler handler, Needs needs);
  net::awaitable<Result<std::string>> read(http::Body& body, std::size_t size_max);
  net::awaitable<http::Response> authenticate(http::Request& request, std::string body);
  net::awaitable<http::Response> poll(http::Request& request, std::string body);
  /// Too much is under way: the device will ask again (decision 5).
  bool must_wait(const http::Request& request, const boost::json::value& instruction);
  net::awaitable<http::Response> take_inventory(http::Request& request, std::string body);
  net::awaitable<http::Response> take_log(http::Request& request, std::string body);
  net::awaitable<http::Response> pass(http::Request& request, std::string body);
  net::awaitable<http::Response> connect(http::Request& request, std::string body);

  /// Sends the request on with this body; the answer is read whole, and digestible.
  net::awaitable<http::Response> forward(http::Request& request, std::string body, bool is_poll = false);
  net::awaitable<http::Response> forward_auth(http::Request& request, const Gatekeeper::Admitted& admitted,
                                              std::string body);
  net::awaitable<http::Response> give_back(http::Request& request, http::Response answer, bool is_poll);
  http::Request onward(const http::Request& request, std::string body) const;
  http::Response failure(const Error& error, const http::Request& request);
  /// Whose request it is, for logs: by its binding, else by what its token says.
  std::string device_of(const http::Request& request) const;

  Upstream& upstream_;
  Gatekeeper* gatekeeper_;
  Links& links_;
  TrafficControl& traffic_;
  Metrics& metrics_;
  Clock& clock_;
  Log& log_;
  const RelayOptions options_;
  Tunnels tunnels_;
};

}  // namespace postern::gateway
