// The HTTP/1.1 server: accepting, TLS, keep-alive, limits, deadlines, and an orderly end.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "shared/async/task_scope.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/base/random.hpp"
#include "shared/http/message.hpp"
#include "shared/transport/tls.hpp"

namespace postern::http {

/// Gives the TLS of the next connection, so that certificates can be exchanged while the server runs.
/// Thread-safe.
using TlsSource = std::function<std::shared_ptr<const TlsServerContext>()>;

struct ServerOptions {
  TlsSource tls;  ///< empty: plain HTTP
  /// Told how each handshake ended. Called on any thread.
  std::function<void(HandshakeResult)> on_handshake = [](HandshakeResult) {};
  /// Asked when a handshake has ended whose client has shown certificates, because the rules may have changed
  /// since it checked them, when end_connections() could not see it yet. Called on any thread.
  std::function<bool(std::span<const Certificate> chain)> should_end = [](auto) { return false; };
  std::size_t head_bytes_max = 16 << 10;
  std::size_t connections_max = 10'000;  ///< beyond it a new connection is closed at once
  /// For each executor; beyond it new connections wait in the listener's backlog. A handshake that takes
  /// longer than kHandshakeBusy waits for its client, not for us, and does not count. 0: no bound.
  std::size_t handshakes_max = 0;
  Duration handshake_max = std::chrono::seconds(30);
  Duration head_max = std::chrono::seconds(30);      ///< from a request's first byte to the end of its head
  Duration idle_max = std::chrono::minutes(3);       ///< between requests
  Duration progress_max = std::chrono::seconds(60);  ///< for one piece of a body, in or out
};

/// Answers one request. Runs on: the connection's executor. What it borrows from the request lives until the
/// answer has left.
using RequestHandler = std::function<net::awaitable<Response>(Request&)>;

/// One listener and one accept loop per executor; a connection lives and dies on one executor.
/// A handler's exception is answered with 500 and logged; it does not end the server.
class Server {
 public:
  Server(Network& network, Clock& clock, Random& random, Log& log,
         std::vector<net::any_io_executor> executors, RequestHandler handler, ServerOptions options);
  ~Server();

  /// Starts to accept; returns where it listens. Call it once. Errors: those of Network::listen.
  Result<Endpoint> listen(const Endpoint& at);
  /// Ends connections whose client has shown certificates that `should_end` is true for, whatever they are
  /// doing, and without what they have not received yet. Returns at once; thread-safe.
  void end_connections(std::function<bool(std::span<const Certificate> chain)> should_end);
  /// How many connections there are now. Thread-safe.
  std::size_t connections() const { return connections_; }
  /// Stops accepting, closes idle connections, lets busy ones finish their request for `grace`, then ends
  /// them. Runs on: the first executor. Errors: exhausted when a handler would not end.
  net::awaitable<Status> stop(Duration grace);

 private:
  class Session;
  struct Worker;
  /// Counts a handshake as long as it is there.
  using Busy = std::shared_ptr<void>;

  /// Waits until few enough handshakes are under way.
  net::awaitable<void> wait_for_handshakes(Worker& worker);
  net::awaitable<void> accept_loop(Worker& worker);
  net::awaitable<void> serve(Worker& worker, std::unique_ptr<Stream> stream, Busy handshake);
  void end_sessions(bool idle_only);

  Network& network_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  const RequestHandler handler_;
  const ServerOptions options_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  TaskScope loops_;
  TaskScope sessions_;
};

}  // namespace postern::http
