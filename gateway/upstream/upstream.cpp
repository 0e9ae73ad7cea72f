#include "gateway/upstream/upstream.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

#include "shared/base/check.hpp"
#include "shared/base/text.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kRedirectsMax = 5;
/// To one server, for each executor: as many as devices may ask at once, or each further one costs a
/// handshake.
constexpr std::size_t kIdleConnectionsMax = 64;
constexpr Duration kUnwind = std::chrono::seconds(5);

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// What a load balancer says when nobody is behind it.
bool means_absent(int status) {
  return status >= 502 && status <= 504;
}

bool same_server(const http::Url& a, const http::Url& b) {
  return a.is_secure == b.is_secure && a.endpoint.port == b.endpoint.port &&
         http::equal_ignoring_case(a.endpoint.host, b.endpoint.host);
}

/// A host as it is compared: in lower case, an IPv6 address without brackets, a name without the dot at its
/// end.
std::string plain_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.remove_suffix(1);
  return to_lower(host);
}

int status_of(const http::Response& response) {
  return response.status;
}
int status_of(const http::Upgraded& upgraded) {
  return upgraded.response.status;
}

}  // namespace

Upstream::Upstream(Network& network, Clock& clock, Log& log, std::vector<net::any_io_executor> executors,
                   UpstreamOptions options)
    : log_(log),
      options_(std::move(options)),
      health_(options_.urls.size(), clock, options_.return_after),
      tasks_(executors.at(0), log) {
  for (const http::Url& url : options_.urls) {
    std::string prefix = url.target;
    while (prefix.ends_with('/')) prefix.pop_back();
    prefixes_.push_back(std::move(prefix));
  }
  for (auto& executor : executors) {
    const auto watchdog = std::make_shared<http::Watchdog>(clock);
    const auto make = [&](const http::TlsClientSource& tls) {
      return std::make_unique<http::Client>(network, clock,
                                            http::ClientOptions{.tls = tls,
                                                                .proxy_tls = options_.artifact_tls,
                                                                .proxies = options_.proxies,
                                                                .watchdog = watchdog,
                                                                .idle_connections_max = kIdleConnectionsMax});
    };
    clients_.push_back({.executor = std::move(executor),
                        .watchdog = watchdog,
                        .api = make(options_.tls),
                        .artifacts = make(options_.artifact_tls)});
  }
}

void Upstream::start() {
  for (const Clients& clients : clients_) {
    tasks_.spawn(clients.executor, "upstream.watchdog", clients.watchdog->run());
  }
}

net::awaitable<Status> Upstream::stop() {
  tasks_.stop(net::cancellation_type::terminal);
  auto joined = co_await tasks_.join(clients_.front().watchdog->clock(), kUnwind);
  if (!joined) co_return std::move(joined).error().within("stop the upstream");
  co_return joined;
}

net::awaitable<Upstream::Clients*> Upstream::clients() {
  const net::any_io_executor here = co_await net::this_coro::executor;
  const auto found = std::ranges::find(clients_, here, &Clients::executor);
  POSTERN_ASSERT(found != clients_.end());
  co_return &*found;
}

net::awaitable<std::shared_ptr<http::Watchdog>> Upstream::watchdog() {
  co_return (co_await clients())->watchdog;
}

void Upstream::note(std::size_t index, const Error* failure) {
  const bool is_news = failure == nullptr ? health_.note_up(index) : health_.note_down(index);
  if (!is_news) return;
  const std::string origin = options_.urls[index].origin();
  if (failure == nullptr) {
    log_.info("upstream.up", {{"upstream", origin}});
  } else {
    log_.warn("upstream.down", {{"upstream", origin}, {"error", failure->what}});
  }
}

template <class T, class Attempt>
net::awaitable<Result<T>> Upstream::try_each(http::Request& request, const TargetAt& target_at,
                                             Attempt attempt) {
  const auto order = health_.order();
  for (std::size_t i = 0;; ++i) {
    const std::size_t index = order[i];
    const bool is_last = i + 1 == order.size();
    http::Url url = options_.urls[index];
    url.target = target_at(index);
    bool may_have_arrived = false;
    Result<T> outcome = co_await attempt(url, may_have_arrived);
    if (!outcome && outcome.error().kind == Kind::cancelled) co_return outcome;
    if (!outcome) {
      note(index, &outcome.error());
    } else if (means_absent(status_of(*outcome))) {
      const Error absent = transient(fmt::format("it answers {}", status_of(*outcome)));
      note(index, &absent);
    } else {
      note(index, nullptr);
      co_return outcome;
    }
    // Who has waited for an answer as long as one may does not wait again.
    const bool is_late = may_have_arrived && !outcome && outcome.error().reason == Reason::timed_out;
    if (is_last || is_late || (may_have_arrived && !http::is_repeatable(request))) co_return outcome;
    if (request.body && !request.body->rewind()) co_return outcome;
  }
}

net::awaitable<Result<http::Response>> Upstream::send(http::Request request) {
  Clients* here = co_await clients();
  const TargetAt target_at = [&](std::size_t index) { return prefixes_[index] + request.target; };
  co_return co_await try_each<http::Response>(request, target_at,
                                              [&](const http::Url& url, bool& may_have_arrived) {
                                                return here->api->attempt(url, request, may_have_arrived);
                                              });
}

net::awaitable<Result<http::Upgraded>> Upstream::upgrade(http::Request request) {
  Clients* here = co_await clients();
  const TargetAt target_at = [&](std::size_t index) { return prefixes_[index] + request.target; };
  co_return co_await try_each<http::Upgraded>(request, target_at,
                                              [&](const http::Url& url, bool& may_have_arrived) {
                                                return here->api->upgrade(url, request, may_have_arrived);
                                              });
}

net::awaitable<Result<http::Response>> Upstream::get_once(const http::Url& url,
                                                          const http::Headers& headers) {
  if (!may_fetch(url)) {
    co_return rejected(
        Reason::forbidden,
        fmt::format("host {} is neither the upstream server nor in DomainWhitelist", url.endpoint.host));
  }
  Clients* here = co_await clients();
  http::Request request;
  request.method = "GET";
  request.headers = headers;
  const auto index = find(url);
  if (!index) co_return co_await here->artifacts->send(url, std::move(request));
  bool may_have_arrived = false;
  auto response = co_await here->api->attempt(url, request, may_have_arrived);
  if (response || options_.urls.size() == 1 || response.error().kind == Kind::cancelled) co_return response;
  note(*index, &response.error());
  // The servers that stand in for each other know the same links.
  const TargetAt target_at = [&](std::size_t) { return url.target; };
  co_return co_await try_each<http::Response>(request, target_at, [&](const http::Url& there, bool& arrived) {
    return here->api->attempt(there, request, arrived);
  });
}

Result<http::Url> Upstream::redirected(const http::Url& from, const http::Response& response) const {
  const auto location = response.headers.find("Location");
  if (!location) return invalid(fmt::format("a redirect ({}) that leads nowhere", response.status));
  const auto unusable = [] { return invalid("a redirect to something that is no URL"); };
  const std::string base_text = from.to_string();
  const auto base = boost::urls::parse_uri(base_text);
  const auto reference =
      boost::urls::parse_uri_reference(boost::core::string_view(location->data(), location->size()));
  if (!base || !reference) return unusable();
  boost::urls::url resolved;
  if (!boost::urls::resolve(*base, *reference, resolved)) return unusable();
  POSTERN_TRY(http::Url url, http::Url::parse(std::string_view(resolved.data(), resolved.size())));
  if (from.is_secure && !url.is_secure) {
    return rejected(Reason::forbidden, fmt::format("a redirect from https to http (host {}) is not followed",
                                                   url.endpoint.host));
  }
  return url;
}

net::awaitable<Result<http::Response>> Upstream::get(const http::Url& url, http::Headers headers) {
  http::Url at = url;
  for (std::size_t hops = 0; hops <= kRedirectsMax; ++hops) {
    POSTERN_CO_TRY(auto response, co_await get_once(at, headers));
    if (!is_redirect(response.status)) co_return response;
    POSTERN_CO_TRY(http::Url next, redirected(at, response));
    if (!same_server(at, next)) {
      headers.remove("Authorization");
      headers.remove("Cookie");
    }
    at = std::move(next);
  }
  co_return rejected(Reason::forbidden, fmt::format("more than {} redirects", kRedirectsMax));
}

std::optional<std::size_t> Upstream::find(const http::Url& url) const {
  const auto found =
      std::ranges::find_if(options_.urls, [&](const http::Url& own) { return same_server(own, url); });
  if (found == options_.urls.end()) return std::nullopt;
  return static_cast<std::size_t>(found - options_.urls.begin());
}

bool Upstream::may_fetch(const http::Url& url) const {
  return find(url) || std::ranges::any_of(options_.domain_whitelist, [&](const std::string& host) {
           return plain_host(host) == plain_host(url.endpoint.host);
         });
}

std::string Upstream::origin_of(const http::Url& url) const {
  return find(url) ? origin() : url.origin();
}

std::vector<Upstream::State> Upstream::states() const {
  std::vector<State> states;
  const auto health = health_.states();
  for (std::size_t i = 0; i < health.size(); ++i) {
    states.push_back({.origin = options_.urls[i].origin(), .health = health[i]});
  }
  return states;
}

}  // namespace postern::gateway
