#include "gateway/upstream/upstream.hpp"

#include <boost/asio/this_coro.hpp>

#include "shared/base/check.hpp"

namespace postern::gateway {

Upstream::Upstream(Network& network, Clock& clock, std::vector<net::any_io_executor> executors,
                   UpstreamOptions options)
    : options_(std::move(options)) {
  for (auto& executor : executors) {
    clients_.push_back(
        {.executor = std::move(executor),
         .api = std::make_unique<http::Client>(network, clock, http::ClientOptions{.tls = options_.tls}),
         .artifacts = std::make_unique<http::Client>(network, clock,
                                                     http::ClientOptions{.tls = options_.artifact_tls})});
  }
}

net::awaitable<Upstream::Clients*> Upstream::clients() {
  const net::any_io_executor here = co_await net::this_coro::executor;
  const auto found = std::ranges::find(clients_, here, &Clients::executor);
  POSTERN_ASSERT(found != clients_.end());
  co_return &*found;
}

net::awaitable<Result<http::Response>> Upstream::send(http::Request request) {
  Clients* here = co_await clients();
  http::Url url = options_.url;
  while (url.target.ends_with('/')) url.target.pop_back();
  url.target += request.target;
  co_return co_await here->api->send(url, std::move(request));
}

net::awaitable<Result<http::Response>> Upstream::get(const http::Url& url, http::Headers headers) {
  if (!may_fetch(url)) {
    co_return rejected(
        Reason::forbidden,
        fmt::format("host {} is neither the upstream server nor in DomainWhitelist", url.endpoint.host));
  }
  Clients* here = co_await clients();
  http::Client& client = is_upstream(url) ? *here->api : *here->artifacts;
  http::Request request;
  request.method = "GET";
  request.headers = std::move(headers);
  co_return co_await client.send(url, std::move(request));
}

bool Upstream::is_upstream(const http::Url& url) const {
  return url.is_secure == options_.url.is_secure && url.endpoint == options_.url.endpoint;
}

bool Upstream::may_fetch(const http::Url& url) const {
  return is_upstream(url) || std::ranges::any_of(options_.domain_whitelist, [&](const std::string& host) {
           return http::equal_ignoring_case(host, url.endpoint.host);
         });
}

}  // namespace postern::gateway
