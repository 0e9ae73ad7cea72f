// The server behind the gateway: how it is reached, and from where artifacts may be fetched.
#pragma once

#include <vector>

#include "shared/http/client.hpp"

namespace postern::gateway {

struct UpstreamOptions {
  http::Url url;  ///< a path in it stands before that of every request
  http::TlsClientSource tls;
  /// For other hosts than the upstream itself: without our own certificate, which is none of their business.
  http::TlsClientSource artifact_tls;
  std::vector<std::string> domain_whitelist;  ///< other hosts from which artifacts may be fetched
};

/// Connections are pooled per executor, as HTTP clients live on one. Thread-safe; calls run on one of the
/// executors that it was made with.
class Upstream {
 public:
  Upstream(Network& network, Clock& clock, std::vector<net::any_io_executor> executors,
           UpstreamOptions options);

  /// Sends a request to the upstream server. Errors: those of http::Client.
  net::awaitable<Result<http::Response>> send(http::Request request);
  /// Gets a link that the upstream server gave out. Errors: forbidden for a host that is not allowed; those
  /// of http::Client.
  net::awaitable<Result<http::Response>> get(const http::Url& url, http::Headers headers);

  /// Whether a link may be fetched: the upstream itself, or a host of the whitelist.
  bool may_fetch(const http::Url& url) const;
  std::string origin() const { return options_.url.origin(); }

 private:
  struct Clients {
    net::any_io_executor executor;
    std::unique_ptr<http::Client> api;
    std::unique_ptr<http::Client> artifacts;
  };

  net::awaitable<Clients*> clients();
  bool is_upstream(const http::Url& url) const;

  const UpstreamOptions options_;
  std::vector<Clients> clients_;
};

}  // namespace postern::gateway
