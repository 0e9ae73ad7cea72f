// The HTTP/1.1 client: TLS, proxies, kept-alive connections, deadlines, streaming both ways, and connections
// that go on as something else. Redirects are not followed.
#pragma once

#include <concepts>
#include <functional>
#include <memory>

#include "shared/base/clock.hpp"
#include "shared/http/message.hpp"
#include "shared/http/parser.hpp"
#include "shared/http/proxy.hpp"
#include "shared/http/url.hpp"
#include "shared/http/watchdog.hpp"
#include "shared/transport/tls.hpp"

namespace postern::http {

/// Gives the TLS of the next connection, so that certificates can be exchanged while the client runs: once it
/// gives another context, connections made with the old one end after their request. A context that never
/// changes converts to this. Thread-safe.
class TlsClientSource {
 public:
  TlsClientSource() = default;
  TlsClientSource(std::nullptr_t) {}
  TlsClientSource(std::shared_ptr<const TlsClientContext> always)
      : source_([always = std::move(always)] { return always; }) {}
  template <std::invocable F>
  TlsClientSource(F source) : source_(std::move(source)) {}

  /// Null: there is none.
  std::shared_ptr<const TlsClientContext> operator()() const { return source_ ? source_() : nullptr; }

 private:
  std::function<std::shared_ptr<const TlsClientContext>()> source_;
};

struct ClientOptions {
  TlsClientSource tls;        ///< needed for https
  TlsClientSource proxy_tls;  ///< needed for a proxy that is spoken to over TLS
  ProxySettings proxies;
  /// Keeps the deadlines, and is run by whoever gives it. Null: the client looks after them itself, which
  /// costs a coroutine more for each request and each piece of a body.
  std::shared_ptr<Watchdog> watchdog;
  std::size_t head_bytes_max = 64 << 10;
  std::size_t idle_connections_max = 8;              ///< kept alive, per origin
  Duration idle_max = std::chrono::seconds(60);      ///< an older idle connection is not used again
  Duration connect_max = std::chrono::seconds(15);   ///< name, TCP, proxy and TLS
  Duration response_max = std::chrono::seconds(60);  ///< from the end of the request to the end of the head
  Duration progress_max = std::chrono::seconds(60);  ///< for one piece of a body, in or out
};

/// What became of a request to go on as something else.
struct Upgraded {
  Response response;               ///< 101, or what the server said instead
  std::unique_ptr<Stream> stream;  ///< null unless 101
  std::vector<std::byte> early;    ///< what arrived behind the head
};

/// Runs on: the executor of the calling coroutine, which has to be the same for all calls.
class Client {
 public:
  Client(Network& network, Clock& clock, ClientOptions options);
  ~Client();

  /// Sends a request and reads the head of the answer; the answer's body is read by the caller, and may
  /// outlive the client. Of `request`, method, headers and body are used; Host, framing and Connection are
  /// set here. When a kept-alive connection turns out to be dead, a request is sent once more if that does no
  /// harm (is_repeatable) and its body can be sent again. Errors: transient (no connection, or lost),
  /// rejected (TLS, proxy, malformed answer), exhausted (deadline).
  net::awaitable<Result<Response>> send(const Url& url, Request request);

  /// The same for a caller who has somewhere else to turn: `request` is left as it was, but for its body,
  /// which may have been read. `may_have_arrived` tells whether the server may have seen the request.
  net::awaitable<Result<Response>> attempt(const Url& url, Request& request, bool& may_have_arrived);

  /// Asks the server to go on as `request`'s Upgrade field says, on a connection of its own; a proxy is asked
  /// for a tunnel. Errors: as send().
  net::awaitable<Result<Upgraded>> upgrade(const Url& url, Request& request, bool& may_have_arrived);

 private:
  struct Connection;
  struct Pool;
  class IncomingBody;
  using Handle = std::shared_ptr<Connection>;

  enum class Route { pooled, tunnel };
  net::awaitable<Result<Handle>> open(const Url& url, std::shared_ptr<const TlsClientContext> tls,
                                      Route route);
  net::awaitable<Result<std::unique_ptr<Stream>>> connect(const Url& url, const TlsClientContext* tls,
                                                          const Proxy* proxy, Route route);
  Handle take_idle(const Url& url, const TlsClientContext* tls);
  /// Sends the request, and reads the head of the answer into `head`.
  net::awaitable<Result<Head>> exchange(Connection& connection, const Url& url, Request& request,
                                        bool for_upgrade);
  net::awaitable<Result<Response>> exchange(Handle connection, const Url& url, Request& request);
  net::awaitable<Result<Response>> try_once(const Url& url, Request& request, bool& may_have_arrived);
  net::awaitable<Result<Upgraded>> try_upgrade(const Url& url, Request& request, bool& may_have_arrived);
  Response to_response(Handle connection, Head head, bool was_written, std::string_view method);

  Network& network_;
  Clock& clock_;
  const ClientOptions options_;
  const std::shared_ptr<Watchdog> watchdog_;
  std::shared_ptr<Pool> pool_;
};

}  // namespace postern::http
