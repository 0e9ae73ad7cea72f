#include "shared/http/server.hpp"

#include <set>
#include <unordered_set>

#include <boost/asio/post.hpp>

#include "shared/async/event.hpp"
#include "shared/async/within.hpp"
#include "shared/base/check.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/connection.hpp"
#include "shared/http/watchdog.hpp"

namespace postern::http {
namespace {

constexpr std::chrono::milliseconds kAcceptRetry{100};
/// A handshake costs some milliseconds of processor time and two round trips; a client that keeps us waiting
/// for more than this must not keep others out.
constexpr Duration kHandshakeBusy = std::chrono::seconds(1);
constexpr Duration kHandshakeLook = std::chrono::milliseconds(100);
constexpr std::chrono::seconds kUnwind{5};
constexpr std::chrono::seconds kLinger{10};
constexpr std::size_t kLingerBytesMax = 32 << 20;
constexpr std::size_t kRequestIdBytesMax = 128;
constexpr Duration kNoDeadline = std::chrono::hours(24 * 365);

/// Sun, 06 Nov 1994 08:49:37 GMT
std::string http_date(WallTime time) {
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

bool is_usable_request_id(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdBytesMax &&
         std::ranges::all_of(id, [](char c) { return c > ' ' && c < 0x7f && c != '"'; });
}

bool has_no_body(int status) {
  return status == 204 || status == 304 || status < 200;
}

}  // namespace

struct Server::Worker {
  Worker(net::any_io_executor on, Clock& clock)
      : executor(std::move(on)), watchdog(clock), handshake_ended(executor) {}

  /// Counted while it lives.
  class Handshake {
   public:
    Handshake(Worker& worker, SteadyTime now) : worker_(worker), begun_(now) {
      worker_.handshakes.insert({begun_, this});
    }
    Handshake(const Handshake&) = delete;
    Handshake& operator=(const Handshake&) = delete;
    ~Handshake() {
      worker_.handshakes.erase({begun_, this});
      worker_.handshake_ended.notify();
    }

   private:
    Worker& worker_;
    const SteadyTime begun_;
  };

  bool has_room(SteadyTime now, std::size_t handshakes_max) {
    if (handshakes_max == 0) return true;
    while (!handshakes.empty() && handshakes.begin()->first + kHandshakeBusy <= now) {
      handshakes.erase(handshakes.begin());
    }
    return handshakes.size() < handshakes_max;
  }

  /// The Date field, made anew once a second.
  const std::string& date(Clock& clock) {
    const auto now = std::chrono::floor<std::chrono::seconds>(clock.wall());
    if (now != dated) {
      dated = now;
      date_text = http_date(now);
    }
    return date_text;
  }

  const net::any_io_executor executor;
  std::unique_ptr<Listener> listener;
  Watchdog watchdog;
  std::set<std::pair<SteadyTime, const Handshake*>> handshakes;  ///< that may keep us busy
  Notifier handshake_ended;
  std::unordered_set<Session*> sessions;  ///< touched on `executor` only
  std::chrono::sys_seconds dated{};
  std::string date_text;
};

/// One connection. Runs on: its worker's executor.
class Server::Session {
 public:
  Session(Server& server, Worker& worker, std::unique_ptr<Stream> stream, Busy handshake)
      : server_(server),
        worker_(worker),
        stream_(std::move(stream)),
        guard_(worker.watchdog, *stream_),
        handshake_(std::move(handshake)),
        reader_(MessageKind::request, server.options_.head_bytes_max) {
    worker_.sessions.insert(this);
  }
  ~Session() { worker_.sessions.erase(this); }

  net::awaitable<void> run();
  void close_if(bool idle_only) {
    if (!idle_only || is_idle_) guard_.close();
  }
  void close_if(const std::function<bool(std::span<const Certificate>)>& should_end) {
    // During the handshake the stream is not ours; whoever checks certificates then knows the newest rules.
    if (stream_ && !stream_->peer_chain().empty() && should_end(stream_->peer_chain())) guard_.abort();
  }

 private:
  class IncomingBody;
  enum class Next { keep, close };

  net::awaitable<Status> secure();
  net::awaitable<Next> serve_one();
  net::awaitable<Response> answer(Request& request);
  net::awaitable<Next> respond(const Request& request, Response response, bool keep_alive, SteadyTime begun);
  net::awaitable<void> refuse(const Error& error);
  net::awaitable<void> linger();
  std::string head_of(const Request& request, const Response& response, bool keep_alive, bool& chunked);
  Request to_request(Head head);
  void log_request(const Request& request, int status, std::uint64_t body_bytes, SteadyTime begun);

  Server& server_;
  Worker& worker_;
  std::unique_ptr<Stream> stream_;
  Watchdog::Guard guard_;
  Busy handshake_;
  MessageReader reader_;
  bool is_idle_ = true;
};

/// The body of the request being served.
class Server::Session::IncomingBody final : public Body {
 public:
  IncomingBody(Session& session, std::optional<std::uint64_t> length, bool expects_continue)
      : session_(session), length_(length), expects_continue_(expects_continue) {}

  std::optional<std::uint64_t> length() const override { return length_; }
  net::awaitable<Result<Bytes>> next() override {
    session_.guard_.expires_in(session_.server_.options_.progress_max);
    if (std::exchange(expects_continue_, false)) {
      POSTERN_CO_CHECK(co_await session_.stream_->write_bytes(as_bytes("HTTP/1.1 100 Continue\r\n\r\n")));
    }
    auto piece = co_await session_.reader_.read_body(*session_.stream_);
    session_.guard_.expires_in(kNoDeadline);
    co_return piece;
  }

 private:
  Session& session_;
  std::optional<std::uint64_t> length_;
  bool expects_continue_;
};

net::awaitable<void> Server::Session::run() {
  if (auto secured = co_await secure(); !secured) {
    // A peer that is refused is news; one that hangs up before it has said anything is not.
    const bool is_refused = secured.error().kind == Kind::rejected;
    server_.log_.write(is_refused ? LogLevel::info : LogLevel::debug, "http.handshake_failed",
                       {{"error", secured.error().what}});
    co_return;
  }
  while (!server_.stopping_) {
    is_idle_ = true;
    guard_.expires_in(server_.options_.idle_max);
    const auto arrived = co_await reader_.wait(*stream_);
    is_idle_ = false;
    if (!arrived || !*arrived) break;
    const Next next = co_await serve_one();
    if (next == Next::close) break;
  }
  guard_.expires_in(kLinger);
  (void)co_await stream_->shutdown();  // the connection ends either way
  stream_->close();
}

net::awaitable<Status> Server::Session::secure() {
  if (!server_.options_.tls) co_return Status{};
  guard_.expires_in(server_.options_.handshake_max);
  HandshakeResult result{};
  // The stream below keeps its place while the TLS stream around it takes over.
  auto secured = co_await server_.options_.tls()->accept(std::move(stream_), &result);
  handshake_.reset();
  server_.options_.on_handshake(result);
  POSTERN_CO_TRY(auto stream, std::move(secured));
  if (!stream->peer_chain().empty() && server_.options_.should_end(stream->peer_chain())) {
    co_return rejected(Reason::unauthorized, "the certificate has lost its worth during the handshake");
  }
  stream_ = std::move(stream);
  guard_.watch(*stream_);
  co_return Status{};
}

net::awaitable<Server::Session::Next> Server::Session::serve_one() {
  const SteadyTime begun = server_.clock_.now();
  guard_.expires_in(server_.options_.head_max);
  auto head = co_await reader_.read_head(*stream_);
  if (!head) {
    if (head.error().kind == Kind::rejected) co_await refuse(head.error());
    co_return Next::close;
  }
  const bool keep_alive = head->keep_alive && !server_.stopping_;
  Request request = to_request(*std::move(head));
  guard_.expires_in(kNoDeadline);
  Response response = co_await answer(request);
  if (response.hang_up) {
    log_request(request, 0, 0, begun);
    co_return Next::close;
  }
  co_return co_await respond(request, std::move(response), keep_alive, begun);
}

Request Server::Session::to_request(Head head) {
  Request request;
  request.method = std::move(head.method);
  request.target = std::move(head.target);
  const auto question = request.target.find('?');
  request.path = request.target.substr(0, question);
  if (question != std::string::npos) request.query = request.target.substr(question + 1);
  request.headers = std::move(head.headers);
  request.peer = stream_->peer();
  request.certificate = stream_->peer_chain().empty() ? nullptr : &stream_->peer_chain().front();
  const auto id = request.headers.find("X-MEN-RequestID");
  request.id = id && is_usable_request_id(*id) ? std::string(*id) : server_.random_.uuid();
  const auto expect = request.headers.find("Expect");
  const auto length = head.chunked ? std::nullopt : std::optional(head.content_length.value_or(0));
  request.body =
      std::make_unique<IncomingBody>(*this, length, expect && equal_ignoring_case(*expect, "100-continue"));
  return request;
}

net::awaitable<Response> Server::Session::answer(Request& request) {
  try {
    co_return co_await server_.handler_(request);
  } catch (const std::exception& exception) {
    server_.log_.error("http.handler_failed", {{"request", request.id},
                                               {"method", request.method},
                                               {"path", request.path},
                                               {"kind", "bug"},
                                               {"error", exception.what()}});
  }
  co_return error_answer(500, "internal error", request);
}

std::string Server::Session::head_of(const Request& request, const Response& response, bool keep_alive,
                                     bool& chunked) {
  constexpr std::size_t kUsualBytes = 512;
  std::string head;
  head.reserve(kUsualBytes);
  fmt::format_to(std::back_inserter(head), "HTTP/1.1 {} {}\r\n", response.status,
                 reason_phrase(response.status));
  append_field(head, "Date", worker_.date(server_.clock_));
  append_field(head, "X-MEN-RequestID", request.id);
  for (const auto& [name, value] : response.headers) append_field(head, name, value);
  chunked = false;
  if (!has_no_body(response.status)) {
    const auto length = response.body ? response.body->length() : std::optional<std::uint64_t>(0);
    chunked = !length;
    if (chunked) {
      append_field(head, "Transfer-Encoding", "chunked");
    } else {
      append_field(head, "Content-Length", std::to_string(*length));
    }
  }
  if (!keep_alive) append_field(head, "Connection", "close");
  head += "\r\n";
  return head;
}

net::awaitable<Server::Session::Next> Server::Session::respond(const Request& request, Response response,
                                                               bool keep_alive, SteadyTime begun) {
  // An answer that comes before the request was read to its end closes the connection: reading on could take
  // for ever.
  const bool body_left = !reader_.message_done();
  if (body_left) keep_alive = false;
  if (response.tunnel) keep_alive = true;  // the head has a Connection field of its own
  if (!body_left) reader_.release();
  bool chunked = false;
  std::string head = head_of(request, response, keep_alive, chunked);
  const bool headers_only = request.method == "HEAD" || has_no_body(response.status);
  Body* body = headers_only ? nullptr : response.body.get();
  const auto written = co_await write_message(
      *stream_, std::move(head), body, chunked && body != nullptr,
      [this](bool begins) { guard_.expires_in(begins ? server_.options_.progress_max : kNoDeadline); });
  log_request(request, response.status, written.value_or(0), begun);
  if (!written) {
    server_.log_.debug("http.answer_cut", {{"request", request.id}, {"error", written.error().what}});
    co_return Next::close;
  }
  if (response.status == 101 && response.tunnel) {
    co_await response.tunnel(*stream_, reader_.rest());
    co_return Next::close;
  }
  if (body_left) co_await linger();
  co_return keep_alive ? Next::keep : Next::close;
}

/// Closing while the peer still sends would reset the connection, and the reset would overtake our answer.
net::awaitable<void> Server::Session::linger() {
  guard_.expires_in(kLinger);
  if (auto ended = co_await stream_->shutdown(); !ended) co_return;
  std::size_t total = 0;
  while (total < kLingerBytesMax) {
    const auto piece = co_await reader_.read_body(*stream_);
    if (!piece || piece->empty()) co_return;
    total += piece->size();
  }
}

net::awaitable<void> Server::Session::refuse(const Error& error) {
  Request nameless;
  nameless.id = server_.random_.uuid();
  const int status = error.reason == Reason::too_large ? 431 : 400;
  Response response = error_answer(status, error.what, nameless);
  bool chunked = false;
  std::string head = head_of(nameless, response, false, chunked);
  server_.log_.debug("http.request_refused",
                     {{"request", nameless.id}, {"peer", stream_->peer()}, {"error", error.what}});
  guard_.expires_in(kLinger);
  const auto written =
      co_await write_message(*stream_, std::move(head), response.body.get(), false, [](bool) {});
  if (!written) co_return;
  if (auto ended = co_await stream_->shutdown(); !ended) co_return;
  // The rest of a refused head is not worth parsing; it is only read so that the answer arrives.
  std::array<std::byte, 4096> scratch;
  for (std::size_t total = 0; total < kLingerBytesMax;) {
    const auto count = co_await stream_->read_some(scratch);
    if (!count || *count == 0) co_return;
    total += *count;
  }
}

void Server::Session::log_request(const Request& request, int status, std::uint64_t body_bytes,
                                  SteadyTime begun) {
  if (!server_.log_.enabled(LogLevel::debug)) return;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(server_.clock_.now() - begun);
  server_.log_.debug("http.served", {{"request", request.id},
                                     {"peer", request.peer},
                                     {"method", request.method},
                                     {"path", request.path},  // without the query: it may carry a signature
                                     {"status", status},
                                     {"size_bytes", body_bytes},
                                     {"took_ms", took.count()}});
}

Server::Server(Network& network, Clock& clock, Random& random, Log& log,
               std::vector<net::any_io_executor> executors, RequestHandler handler, ServerOptions options)
    : network_(network),
      clock_(clock),
      random_(random),
      log_(log),
      handler_(std::move(handler)),
      options_(std::move(options)),
      loops_(executors.at(0), log),
      sessions_(executors.at(0), log) {
  for (auto& executor : executors) workers_.push_back(std::make_unique<Worker>(std::move(executor), clock));
}

Server::~Server() = default;

Result<Endpoint> Server::listen(const Endpoint& at) {
  Endpoint local = at;
  for (const auto& worker : workers_) {
    POSTERN_TRY(worker->listener, network_.listen(worker->executor, local));
    local = worker->listener->local();  // the same port for all, also when any was asked for
  }
  for (const auto& worker : workers_) {
    loops_.spawn(worker->executor, "http.watchdog", worker->watchdog.run());
    loops_.spawn(worker->executor, "http.accept", accept_loop(*worker));
  }
  return local;
}

net::awaitable<void> Server::wait_for_handshakes(Worker& worker) {
  while (!stopping_ && !worker.has_room(clock_.now(), options_.handshakes_max)) {
    const auto waited = co_await within(clock_, kHandshakeLook, worker.handshake_ended.wait());
    if (!waited && waited.error().kind == Kind::cancelled) co_return;
  }
}

net::awaitable<void> Server::accept_loop(Worker& worker) {
  while (!stopping_) {
    co_await wait_for_handshakes(worker);
    auto stream = co_await worker.listener->accept();
    if (!stream) {
      if (stream.error().kind == Kind::cancelled || stopping_) co_return;
      log_.warn("http.accept_failed", {{"error", stream.error().what}});
      if (auto slept = co_await clock_.sleep(kAcceptRetry); !slept) co_return;
      continue;
    }
    if (stopping_) co_return;  // it came while the listener closed; nobody would end its session
    if (connections_ >= options_.connections_max) continue;  // closing it is the answer
    ++connections_;
    Busy handshake;
    if (options_.tls) handshake = std::make_shared<Worker::Handshake>(worker, clock_.now());
    sessions_.spawn(worker.executor, "http.session", serve(worker, *std::move(stream), std::move(handshake)));
  }
}

net::awaitable<void> Server::serve(Worker& worker, std::unique_ptr<Stream> stream, Busy handshake) {
  {
    Session session(*this, worker, std::move(stream), std::move(handshake));
    co_await session.run();
  }
  --connections_;
}

void Server::end_sessions(bool idle_only) {
  for (const auto& worker : workers_) {
    net::post(worker->executor, [&worker = *worker, idle_only] {
      if (worker.listener) worker.listener->close();
      for (Session* session : worker.sessions) session->close_if(idle_only);
    });
  }
}

void Server::end_connections(std::function<bool(std::span<const Certificate>)> should_end) {
  for (const auto& worker : workers_) {
    net::post(worker->executor, [&worker = *worker, should_end] {
      for (Session* session : worker.sessions) session->close_if(should_end);
    });
  }
}

net::awaitable<Status> Server::stop(Duration grace) {
  stopping_ = true;
  end_sessions(true);
  auto drained = co_await sessions_.join(clock_, grace);
  if (!drained) {
    end_sessions(false);
    sessions_.stop(net::cancellation_type::terminal);
    drained = co_await sessions_.join(clock_, kUnwind);
  }
  loops_.stop(net::cancellation_type::terminal);
  auto looped = co_await loops_.join(clock_, kUnwind);
  // Another executor may have taken a connection after the first look and before it closed its listener.
  if (drained) {
    sessions_.stop(net::cancellation_type::terminal);
    drained = co_await sessions_.join(clock_, kUnwind);
  }
  if (!drained) co_return std::move(drained).error().within("stop the HTTP server");
  co_return looped;
}

}  // namespace postern::http
