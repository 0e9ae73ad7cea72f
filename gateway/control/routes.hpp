// What the control socket answers: JSON for the commands of postern-gateway.
#pragma once

#include "gateway/control/prefetches.hpp"
#include "gateway/control/status.hpp"
#include "shared/http/router.hpp"

namespace postern::gateway {

/// GET  /v1/status
/// GET  /v1/cache
/// POST /v1/cache/{verify,pin,unpin,evict}  {"artifacts": [name or key, ...], "force": bool}
/// POST /v1/cache/gc
/// GET, POST /v1/prefetches                 {"what": name or URL, "at": RFC 3339, "daily": "HH:MM"}
/// GET, DELETE /v1/prefetches/{id}
/// Runs on: one executor.
class ControlRoutes {
 public:
  using GetStatus = std::function<net::awaitable<GatewayStatus>()>;

  ControlRoutes(Keeper& keeper, Prefetches& prefetches, GetStatus status, Clock& clock, Log& log)
      : keeper_(keeper), prefetches_(prefetches), status_(std::move(status)), clock_(clock), log_(log) {}

  void add_routes(http::Router& router);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  using ControlHandler = Answer (ControlRoutes::*)(http::Request&);

  void add(http::Router& router, std::string_view method, std::string_view pattern, ControlHandler handler);
  Answer show_status(http::Request& request);
  Answer list_cache(http::Request& request);
  Answer verify(http::Request& request);
  Answer pin(http::Request& request);
  Answer unpin(http::Request& request);
  Answer evict(http::Request& request);
  Answer collect(http::Request& request);
  Answer list_prefetches(http::Request& request);
  Answer add_prefetch(http::Request& request);
  Answer show_prefetch(http::Request& request);
  Answer cancel_prefetch(http::Request& request);

  struct Choice {
    std::vector<ArtifactKey> keys;
    bool force = false;
  };
  /// Which artifacts a request is about. Errors: invalid, not_found.
  net::awaitable<Result<Choice>> read_choice(http::Request& request);
  http::Response changed(const Choice& choice) const;

  Keeper& keeper_;
  Prefetches& prefetches_;
  const GetStatus status_;
  Clock& clock_;
  Log& log_;
};

}  // namespace postern::gateway
