#include "shared/http/client.hpp"

#include <map>

#include "shared/async/within.hpp"
#include "shared/http/connection.hpp"

namespace postern::http {

namespace {

/// How long to look for the answer to a request that could not be sent whole.
constexpr Duration kRefusalMax = std::chrono::seconds(2);
constexpr Duration kNoDeadline = std::chrono::hours(24 * 365);

struct SameOrigin {
  bool operator()(const Url& a, const Url& b) const {
    return std::tie(a.is_secure, a.endpoint) < std::tie(b.is_secure, b.endpoint);
  }
};

net::awaitable<Status> run_watchdog(Watchdog& watchdog) {
  co_await net::this_coro::throw_if_cancelled(false);
  co_await watchdog.run();
  co_return cancelled("wait with a deadline");
}

/// Runs `operation` while somebody looks after the deadlines in it.
template <class T>
net::awaitable<Result<T>> watched(std::shared_ptr<Watchdog> watchdog, bool is_run_elsewhere,
                                  net::awaitable<Result<T>> operation) {
  using namespace net::experimental::awaitable_operators;  // NOLINT: the operators are what is wanted
  if (co_await was_cancelled()) co_return cancelled("wait with a deadline");
  if (is_run_elsewhere) co_return co_await std::move(operation);
  auto race = co_await (detail::without_throwing(std::move(operation)) || run_watchdog(*watchdog));
  if (race.index() == 0) co_return std::get<0>(std::move(race));
  co_return std::get<1>(std::move(race)).error();
}

}  // namespace

struct Client::Connection {
  Connection(std::shared_ptr<Watchdog> by, std::unique_ptr<Stream> over, const Url& to,
             std::shared_ptr<const TlsClientContext> with, const Proxy* through, std::size_t head_bytes_max)
      : watchdog(std::move(by)),
        stream(std::move(over)),
        guard(*watchdog, *stream),
        origin{.is_secure = to.is_secure, .endpoint = to.endpoint, .target = {}},
        tls(std::move(with)),
        proxy(through),
        reader(MessageKind::response, head_bytes_max) {}
  ~Connection() {
    if (stream) stream->close();
  }

  /// The error as its reader should see it: what fails because a deadline has passed, fails for that.
  Error explain(Error error) const {
    if (!guard.expired()) return error;
    return {Kind::exhausted, Reason::timed_out, "deadline passed"};
  }

  const std::shared_ptr<Watchdog> watchdog;
  std::unique_ptr<Stream> stream;
  Watchdog::Guard guard;
  const Url origin;                             ///< without a target
  std::shared_ptr<const TlsClientContext> tls;  ///< null: plain HTTP
  const Proxy* proxy;                           ///< that requests name their server to; null: none
  MessageReader reader;
  bool was_written = false;  ///< the request in progress has left whole
  SteadyTime idle_since{};
};

struct Client::Pool {
  std::size_t per_origin_max;
  std::map<Url, std::vector<Handle>, SameOrigin> idle;

  void give_back(Handle connection, SteadyTime now) {
    auto& same = idle[connection->origin];
    connection->idle_since = now;
    same.push_back(std::move(connection));
    if (same.size() > per_origin_max) same.erase(same.begin());
  }
};

/// The body of an answer; gives its connection back when it has been read to the end.
class Client::IncomingBody final : public Body {
 public:
  IncomingBody(Handle connection, const Client& client, std::optional<std::uint64_t> length, bool keep_alive)
      : connection_(std::move(connection)),
        pool_(client.pool_),
        clock_(client.clock_),
        progress_max_(client.options_.progress_max),
        is_watched_(client.options_.watchdog != nullptr),
        length_(length),
        keep_alive_(keep_alive) {
    give_back_if_done();
  }

  std::optional<std::uint64_t> length() const override { return length_; }
  net::awaitable<Result<Bytes>> next() override {
    if (!connection_) co_return Bytes{};
    const auto connection = connection_;
    connection->guard.expires_in(progress_max_);
    auto piece = co_await watched(connection->watchdog, is_watched_,
                                  connection->reader.read_body(*connection->stream));
    connection->guard.expires_in(kNoDeadline);
    if (!piece) {
      connection_.reset();
      co_return connection->explain(std::move(piece).error());
    }
    if (piece->empty()) give_back_if_done();
    co_return piece;
  }

 private:
  void give_back_if_done() {
    if (!connection_->reader.message_done()) return;
    const auto pool = pool_.lock();
    if (keep_alive_ && pool && connection_->reader.is_drained()) {
      pool->give_back(std::move(connection_), clock_.now());
    }
    connection_.reset();
  }

  Handle connection_;  ///< null once the body has ended
  std::weak_ptr<Pool> pool_;
  Clock& clock_;
  Duration progress_max_;
  bool is_watched_;
  std::optional<std::uint64_t> length_;
  bool keep_alive_;
};

Client::Client(Network& network, Clock& clock, ClientOptions options)
    : network_(network),
      clock_(clock),
      options_(std::move(options)),
      watchdog_(options_.watchdog ? options_.watchdog : std::make_shared<Watchdog>(clock)),
      pool_(std::make_shared<Pool>(Pool{options_.idle_connections_max, {}})) {}
Client::~Client() = default;

Client::Handle Client::take_idle(const Url& url, const TlsClientContext* tls) {
  const auto found = pool_->idle.find(url);
  if (found == pool_->idle.end()) return nullptr;
  auto& same = found->second;
  while (!same.empty()) {
    auto connection = std::move(same.back());
    same.pop_back();
    const bool is_fresh = clock_.now() - connection->idle_since <= options_.idle_max;
    if (is_fresh && connection->tls.get() == tls) return connection;
  }
  return nullptr;
}

namespace {

bool is_proxy_field(std::string_view name) {
  return equal_ignoring_case(name, "Proxy-Authorization");
}

/// `proxy` is one that the request has to name its server to.
std::string head_of(const Url& url, const Request& request, const Proxy* proxy, bool for_upgrade,
                    bool& chunked) {
  std::string head;
  head.reserve(1024);
  head.append(request.method).append(" ");
  if (proxy != nullptr) head += url.origin();
  head.append(url.target).append(" HTTP/1.1\r\n");
  append_field(head, "Host", url.authority());
  if (proxy != nullptr && !proxy->authorization.empty()) {
    append_field(head, "Proxy-Authorization", proxy->authorization);
  }
  for (const auto& [name, value] : request.headers) {
    if (!is_proxy_field(name)) append_field(head, name, value);
  }
  if (for_upgrade) append_field(head, "Connection", "Upgrade");
  const auto length = request.body ? request.body->length() : std::optional<std::uint64_t>(0);
  chunked = !length;
  if (chunked) {
    append_field(head, "Transfer-Encoding", "chunked");
  } else if (request.body || request.method == "POST" || request.method == "PUT") {
    append_field(head, "Content-Length", std::to_string(*length));
  }
  head += "\r\n";
  return head;
}

/// Reads heads until one is final: other 1xx than the one for an upgrade are only announcements.
net::awaitable<Result<Head>> read_final_head(MessageReader& reader, Stream& stream, bool for_upgrade) {
  for (int i = 0; i < 8; ++i) {
    POSTERN_CO_TRY(Head head, co_await reader.read_head(stream));
    if (head.status >= 200 || (head.status == 101 && for_upgrade)) co_return head;
    if (head.status == 101)
      co_return invalid("the server goes on with another protocol that nobody asked for");
  }
  co_return invalid("too many interim responses");
}

Error refused_by(const Proxy& proxy, int status) {
  const std::string who = fmt::format("the proxy {}", proxy.endpoint.to_string());
  if (status == 407) {
    return rejected(Reason::unauthorized,
                    proxy.authorization.empty()
                        ? who + " wants a user and a password (407)"
                        : who + " does not take the user and the password that it is given (407)");
  }
  const std::string what = fmt::format("{} does not let us through: it answers {}", who, status);
  return status >= 500 ? transient(what) : rejected(Reason::forbidden, what);
}

/// Asks a proxy for a way to `to`; whatever is then said on the stream is between us and the server.
net::awaitable<Status> ask_for_tunnel(Stream& stream, const Proxy& proxy, const Endpoint& to,
                                      std::size_t head_bytes_max) {
  const std::string where = to.to_string();
  std::string head = fmt::format("CONNECT {} HTTP/1.1\r\n", where);
  append_field(head, "Host", where);
  if (!proxy.authorization.empty()) append_field(head, "Proxy-Authorization", proxy.authorization);
  head += "\r\n";
  POSTERN_CO_CHECK(co_await stream.write_bytes(as_bytes(head)));
  MessageReader reader(MessageKind::response, head_bytes_max);
  auto answer = co_await read_final_head(reader, stream, false);
  if (!answer) {
    co_return std::move(answer).error().within(fmt::format("the proxy {}", proxy.endpoint.to_string()));
  }
  if (answer->status / 100 != 2) co_return refused_by(proxy, answer->status);
  if (!reader.is_drained()) co_return invalid("the proxy sends something that is not the server's");
  co_return Status{};
}

}  // namespace

net::awaitable<Result<std::unique_ptr<Stream>>> Client::connect(const Url& url, const TlsClientContext* tls,
                                                                const Proxy* proxy, Route route) {
  if (url.is_secure && tls == nullptr) {
    co_return invalid(fmt::format("{}: no TLS is set up", url.origin()));
  }
  POSTERN_CO_TRY(auto stream, co_await network_.connect(proxy != nullptr ? proxy->endpoint : url.endpoint));
  if (proxy != nullptr && proxy->is_secure) {
    const auto proxy_tls = options_.proxy_tls();
    if (!proxy_tls) co_return invalid("no TLS is set up for the proxy");
    POSTERN_CO_TRY(stream, co_await proxy_tls->connect(std::move(stream), proxy->endpoint.host));
  }
  if (proxy != nullptr && (url.is_secure || route == Route::tunnel)) {
    POSTERN_CO_CHECK(co_await ask_for_tunnel(*stream, *proxy, url.endpoint, options_.head_bytes_max));
  }
  if (!url.is_secure) co_return stream;
  auto secured = co_await tls->connect(std::move(stream), url.endpoint.host);
  if (!secured) co_return std::move(secured).error().within(fmt::format("connect to {}", url.origin()));
  co_return secured;
}

net::awaitable<Result<Client::Handle>> Client::open(const Url& url,
                                                    std::shared_ptr<const TlsClientContext> tls,
                                                    Route route) {
  const Proxy* proxy = options_.proxies.find(url);
  POSTERN_CO_TRY(auto stream,
                 co_await within(clock_, options_.connect_max, connect(url, tls.get(), proxy, route)));
  const bool names_server = proxy != nullptr && !url.is_secure && route == Route::pooled;
  co_return std::make_shared<Connection>(watchdog_, std::move(stream), url, std::move(tls),
                                         names_server ? proxy : nullptr, options_.head_bytes_max);
}

net::awaitable<Result<Head>> Client::exchange(Connection& connection, const Url& url, Request& request,
                                              bool for_upgrade) {
  bool chunked = false;
  std::string head = head_of(url, request, connection.proxy, for_upgrade, chunked);
  Stream& stream = *connection.stream;
  auto& guard = connection.guard;
  const auto written = co_await write_message(
      stream, std::move(head), request.body.get(), chunked,
      [&](bool begins) { guard.expires_in(begins ? options_.progress_max : kNoDeadline); });
  connection.was_written = written.has_value();
  if (!written && guard.expired()) co_return connection.explain(written.error());
  // A server that refuses a body answers before it has read it all; that answer tells more than our broken
  // pipe. It is on its way already then, so there is no long wait for it.
  guard.expires_in(written ? options_.response_max : std::min(options_.response_max, kRefusalMax));
  auto received = co_await read_final_head(connection.reader, stream, for_upgrade);
  guard.expires_in(kNoDeadline);
  if (!received) co_return written ? connection.explain(std::move(received).error()) : written.error();
  if (connection.proxy != nullptr && received->status == 407) co_return refused_by(*connection.proxy, 407);
  co_return received;
}

Response Client::to_response(Handle connection, Head head, bool was_written, std::string_view method) {
  Response response;
  response.status = head.status;
  response.headers = std::move(head.headers);
  const bool headers_only = method == "HEAD";
  if (headers_only) connection->reader.expect_no_body();
  const auto length = headers_only ? std::optional<std::uint64_t>(0) : head.content_length;
  response.body =
      std::make_unique<IncomingBody>(std::move(connection), *this, length, head.keep_alive && was_written);
  return response;
}

net::awaitable<Result<Response>> Client::exchange(Handle connection, const Url& url, Request& request) {
  POSTERN_CO_TRY(Head head, co_await exchange(*connection, url, request, false));
  const bool was_written = connection->was_written;
  co_return to_response(std::move(connection), std::move(head), was_written, request.method);
}

net::awaitable<Result<Response>> Client::try_once(const Url& url, Request& request, bool& may_have_arrived) {
  auto tls = url.is_secure ? options_.tls() : nullptr;
  if (auto idle = take_idle(url, tls.get())) {
    may_have_arrived = true;
    auto response = co_await exchange(std::move(idle), url, request);
    const bool is_stale = !response && response.error().reason == Reason::closed;
    if (!is_stale || !is_repeatable(request)) co_return response;
    if (request.body && !request.body->rewind()) co_return response;
  }
  POSTERN_CO_TRY(auto connection, co_await open(url, std::move(tls), Route::pooled));
  may_have_arrived = true;
  co_return co_await exchange(std::move(connection), url, request);
}

net::awaitable<Result<Response>> Client::attempt(const Url& url, Request& request, bool& may_have_arrived) {
  may_have_arrived = false;
  auto response =
      co_await watched(watchdog_, options_.watchdog != nullptr, try_once(url, request, may_have_arrived));
  if (!response) {
    co_return std::move(response).error().within(fmt::format("{} {}", request.method, url.origin()));
  }
  co_return response;
}

net::awaitable<Result<Response>> Client::send(const Url& url, Request request) {
  bool may_have_arrived = false;
  co_return co_await attempt(url, request, may_have_arrived);
}

net::awaitable<Result<Upgraded>> Client::try_upgrade(const Url& url, Request& request,
                                                     bool& may_have_arrived) {
  auto tls = url.is_secure ? options_.tls() : nullptr;
  POSTERN_CO_TRY(auto connection, co_await open(url, std::move(tls), Route::tunnel));
  may_have_arrived = true;
  POSTERN_CO_TRY(Head head, co_await exchange(*connection, url, request, true));
  Upgraded upgraded;
  if (head.status != 101) {
    const bool was_written = connection->was_written;
    upgraded.response = to_response(std::move(connection), std::move(head), was_written, request.method);
    co_return upgraded;
  }
  upgraded.response.status = 101;
  upgraded.response.headers = std::move(head.headers);
  const Bytes early = connection->reader.rest();
  upgraded.early.assign(early.begin(), early.end());
  upgraded.stream = std::move(connection->stream);
  co_return upgraded;
}

net::awaitable<Result<Upgraded>> Client::upgrade(const Url& url, Request& request, bool& may_have_arrived) {
  may_have_arrived = false;
  auto upgraded =
      co_await watched(watchdog_, options_.watchdog != nullptr, try_upgrade(url, request, may_have_arrived));
  if (!upgraded) {
    co_return std::move(upgraded).error().within(fmt::format("{} {}", request.method, url.origin()));
  }
  co_return upgraded;
}

}  // namespace postern::http
