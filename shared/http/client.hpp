// The HTTP/1.1 client: TLS, kept-alive connections, deadlines, streaming both ways. Redirects are not
// followed.
#pragma once

#include <concepts>
#include <functional>
#include <memory>

#include "shared/base/clock.hpp"
#include "shared/http/message.hpp"
#include "shared/http/url.hpp"
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
  TlsClientSource tls;  ///< needed for https
  std::size_t head_bytes_max = 64 << 10;
  std::size_t idle_connections_max = 8;              ///< kept alive, per origin
  Duration idle_max = std::chrono::seconds(60);      ///< an older idle connection is not used again
  Duration connect_max = std::chrono::seconds(15);   ///< name, TCP and TLS
  Duration response_max = std::chrono::seconds(60);  ///< from the end of the request to the end of the head
  Duration progress_max = std::chrono::seconds(60);  ///< for one piece of a body, in or out
};

/// Runs on: the executor of the calling coroutine, which has to be the same for all calls.
class Client {
 public:
  Client(Network& network, Clock& clock, ClientOptions options);
  ~Client();

  /// Sends a request and reads the head of the answer; the answer's body is read by the caller, and may
  /// outlive the client. Of `request`, method, headers and body are used; Host, framing and Connection are
  /// set here. A request whose body can be sent again is repeated once when a kept-alive connection turns out
  /// to be dead. Errors: transient (no connection, or lost), rejected (TLS, malformed answer), exhausted
  /// (deadline).
  net::awaitable<Result<Response>> send(const Url& url, Request request);

 private:
  struct Connection;
  struct Pool;
  class IncomingBody;

  net::awaitable<Result<std::shared_ptr<Connection>>> open(const Url& url,
                                                           std::shared_ptr<const TlsClientContext> tls);
  std::shared_ptr<Connection> take_idle(const Url& url, const TlsClientContext* tls);
  net::awaitable<Result<Response>> exchange(std::shared_ptr<Connection> connection, const Url& url,
                                            Request& request);

  Network& network_;
  Clock& clock_;
  const ClientOptions options_;
  std::shared_ptr<Pool> pool_;
};

}  // namespace postern::http
