// The servers behind the gateway: how they are reached, and from where artifacts may be fetched.
#pragma once

#include <vector>

#include "gateway/upstream/health.hpp"
#include "shared/async/task_scope.hpp"
#include "shared/http/client.hpp"

namespace postern::gateway {

struct UpstreamOptions {
  /// At least one; the first is preferred, the others stand in for it. A path in one stands before that of
  /// every request.
  std::vector<http::Url> urls;
  http::TlsClientSource tls;
  /// For other hosts than the upstreams themselves, and for proxies: without our own certificate, which is
  /// none of their business.
  http::TlsClientSource artifact_tls;
  std::vector<std::string> domain_whitelist;  ///< other hosts from which artifacts may be fetched
  http::ProxySettings proxies;
  Duration return_after = std::chrono::minutes(5);  ///< see Health
};

/// Connections are pooled per executor, as HTTP clients live on one. Thread-safe; calls run on one of the
/// executors that it was made with.
///
/// A request goes to the upstream that served last. When that cannot be reached, or a load balancer before it
/// says so (502 to 504), the next one is asked, unless the request may have arrived and is not repeatable.
class Upstream {
 public:
  Upstream(Network& network, Clock& clock, Log& log, std::vector<net::any_io_executor> executors,
           UpstreamOptions options);

  /// Begins to keep deadlines. Call it once, before the first request.
  void start();
  /// Runs on: the first executor. Errors: exhausted.
  net::awaitable<Status> stop();

  /// Sends a request to an upstream server. Errors: those of http::Client.
  net::awaitable<Result<http::Response>> send(http::Request request);
  /// Asks an upstream server to go on as the request's Upgrade field says. Errors: those of http::Client.
  net::awaitable<Result<http::Upgraded>> upgrade(http::Request request);
  /// Gets a link that the upstream server gave out, and follows redirects to hosts that are allowed. Errors:
  /// forbidden for a host that is not; those of http::Client.
  net::awaitable<Result<http::Response>> get(const http::Url& url, http::Headers headers);

  /// Whether a link may be fetched: from an upstream itself, or from a host of the whitelist.
  bool may_fetch(const http::Url& url) const;
  /// Of the first upstream: what artifacts are named by, whoever serves them.
  std::string origin() const { return options_.urls.front().origin(); }
  /// The same for a link: one that leads to any of the upstreams counts as one to the first.
  std::string origin_of(const http::Url& url) const;

  struct State {
    std::string origin;
    Health::State health;
  };
  std::vector<State> states() const;
  /// What keeps deadlines on the calling coroutine's executor.
  net::awaitable<std::shared_ptr<http::Watchdog>> watchdog();

 private:
  struct Clients {
    net::any_io_executor executor;
    std::shared_ptr<http::Watchdog> watchdog;
    std::unique_ptr<http::Client> api;
    std::unique_ptr<http::Client> artifacts;
  };

  net::awaitable<Clients*> clients();
  /// Which of the upstreams it is; none for another host.
  std::optional<std::size_t> find(const http::Url& url) const;
  void note(std::size_t index, const Error* failure);
  /// What to ask each upstream for.
  using TargetAt = std::function<std::string(std::size_t index)>;
  template <class T, class Attempt>
  net::awaitable<Result<T>> try_each(http::Request& request, const TargetAt& target_at, Attempt attempt);
  net::awaitable<Result<http::Response>> get_once(const http::Url& url, const http::Headers& headers);
  Result<http::Url> redirected(const http::Url& from, const http::Response& response) const;

  Log& log_;
  const UpstreamOptions options_;
  std::vector<std::string> prefixes_;  ///< the paths of the URLs, without the slash at their end
  Health health_;
  std::vector<Clients> clients_;
  TaskScope tasks_;
};

}  // namespace postern::gateway
