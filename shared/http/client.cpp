#include "shared/http/client.hpp"

#include <map>

#include "shared/async/within.hpp"
#include "shared/http/connection.hpp"

namespace postern::http {

namespace {

/// A stream on which no single read or write waits longer than a limit.
class TimedStream final : public Stream {
 public:
  TimedStream(std::unique_ptr<Stream> lower, Clock& clock, Duration limit)
      : lower_(std::move(lower)), clock_(clock), limit_(limit) {}

  net::awaitable<Result<std::size_t>> read_some(MutableBytes out) override {
    co_return co_await within(clock_, limit_, lower_->read_some(out));
  }
  net::awaitable<Status> write(std::span<const Bytes> pieces) override {
    co_return co_await within(clock_, limit_, lower_->write(pieces));
  }
  net::awaitable<Status> shutdown() override {
    co_return co_await within(clock_, limit_, lower_->shutdown());
  }
  void close() override { lower_->close(); }
  const std::string& peer() const override { return lower_->peer(); }
  net::any_io_executor executor() const override { return lower_->executor(); }

 private:
  std::unique_ptr<Stream> lower_;
  Clock& clock_;
  Duration limit_;
};

}  // namespace

struct Client::Connection {
  Connection(std::unique_ptr<Stream> over, std::string of, std::shared_ptr<const TlsClientContext> with,
             std::size_t head_bytes_max)
      : stream(std::move(over)),
        origin(std::move(of)),
        tls(std::move(with)),
        reader(MessageKind::response, head_bytes_max) {}
  ~Connection() { stream->close(); }

  std::unique_ptr<Stream> stream;
  std::string origin;
  std::shared_ptr<const TlsClientContext> tls;  ///< null: plain HTTP
  MessageReader reader;
  SteadyTime idle_since{};
  bool was_used = false;  ///< an exchange was completed on it before
};

struct Client::Pool {
  std::size_t per_origin_max;
  std::map<std::string, std::vector<std::shared_ptr<Connection>>> idle;

  void give_back(std::shared_ptr<Connection> connection, SteadyTime now) {
    auto& same = idle[connection->origin];
    connection->idle_since = now;
    connection->was_used = true;
    same.push_back(std::move(connection));
    if (same.size() > per_origin_max) same.erase(same.begin());
  }
};

/// The body of an answer; gives its connection back when it has been read to the end.
class Client::IncomingBody final : public Body {
 public:
  IncomingBody(std::shared_ptr<Connection> connection, std::weak_ptr<Pool> pool, Clock& clock,
               std::optional<std::uint64_t> length, bool keep_alive)
      : connection_(std::move(connection)),
        pool_(std::move(pool)),
        clock_(clock),
        length_(length),
        keep_alive_(keep_alive) {}

  std::optional<std::uint64_t> length() const override { return length_; }
  net::awaitable<Result<Bytes>> next() override {
    if (!connection_) co_return Bytes{};
    auto& connection = *connection_;
    auto piece = co_await connection.reader.read_body(*connection.stream);
    if (piece && !piece->empty()) co_return piece;
    const auto pool = pool_.lock();
    if (piece && keep_alive_ && pool && connection.reader.is_drained()) {
      pool->give_back(std::move(connection_), clock_.now());
    }
    connection_.reset();
    co_return piece;
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::weak_ptr<Pool> pool_;
  Clock& clock_;
  std::optional<std::uint64_t> length_;
  bool keep_alive_;
};

Client::Client(Network& network, Clock& clock, ClientOptions options)
    : network_(network),
      clock_(clock),
      options_(std::move(options)),
      pool_(std::make_shared<Pool>(Pool{options_.idle_connections_max, {}})) {}
Client::~Client() = default;

std::shared_ptr<Client::Connection> Client::take_idle(const Url& url, const TlsClientContext* tls) {
  auto& same = pool_->idle[url.origin()];
  while (!same.empty()) {
    auto connection = std::move(same.back());
    same.pop_back();
    const bool is_fresh = clock_.now() - connection->idle_since <= options_.idle_max;
    if (is_fresh && connection->tls.get() == tls) return connection;
  }
  return nullptr;
}

namespace {

/// How long to look for the answer to a request that could not be sent whole.
constexpr Duration kRefusalMax = std::chrono::seconds(2);

net::awaitable<Result<std::unique_ptr<Stream>>> connect(Network& network, const TlsClientContext* tls,
                                                        const Url& url) {
  POSTERN_CO_TRY(auto stream, co_await network.connect(url.endpoint));
  if (!url.is_secure) co_return stream;
  if (tls == nullptr) co_return invalid(fmt::format("{}: no TLS is set up", url.origin()));
  auto secured = co_await tls->connect(std::move(stream), url.endpoint.host);
  if (!secured) co_return std::move(secured).error().within(fmt::format("connect to {}", url.origin()));
  co_return secured;
}

std::string head_of(const Url& url, const Request& request, bool& chunked) {
  std::string head = fmt::format("{} {} HTTP/1.1\r\n", request.method, url.target);
  append_field(head, "Host", url.authority());
  for (const auto& [name, value] : request.headers) append_field(head, name, value);
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

/// Reads heads until one is final: 1xx are only announcements.
net::awaitable<Result<Head>> read_final_head(MessageReader& reader, Stream& stream) {
  for (int i = 0; i < 8; ++i) {
    POSTERN_CO_TRY(Head head, co_await reader.read_head(stream));
    if (head.status >= 200) co_return head;
  }
  co_return invalid("too many interim responses");
}

}  // namespace

net::awaitable<Result<std::shared_ptr<Client::Connection>>> Client::open(
    const Url& url, std::shared_ptr<const TlsClientContext> tls) {
  POSTERN_CO_TRY(auto stream,
                 co_await within(clock_, options_.connect_max, connect(network_, tls.get(), url)));
  auto timed = std::make_unique<TimedStream>(std::move(stream), clock_, options_.progress_max);
  co_return std::make_shared<Connection>(std::move(timed), url.origin(), std::move(tls),
                                         options_.head_bytes_max);
}

net::awaitable<Result<Response>> Client::exchange(std::shared_ptr<Connection> connection, const Url& url,
                                                  Request& request) {
  bool chunked = false;
  std::string head = head_of(url, request, chunked);
  Stream& stream = *connection->stream;
  const auto written =
      co_await write_message(stream, std::move(head), request.body.get(), chunked, [](bool) {});
  // A server that refuses a body answers before it has read it all; that answer tells more than our broken
  // pipe. It is on its way already then, so there is no long wait for it.
  const Duration wait = written ? options_.response_max : std::min(options_.response_max, kRefusalMax);
  auto received = co_await within(clock_, wait, read_final_head(connection->reader, stream));
  if (!received) co_return written ? std::move(received).error() : written.error();

  Response response;
  response.status = received->status;
  response.headers = std::move(received->headers);
  if (request.method == "HEAD") connection->reader.expect_no_body();
  const bool keep_alive = received->keep_alive && written.has_value();
  const auto length = request.method == "HEAD" ? std::optional<std::uint64_t>(0) : received->content_length;
  response.body = std::make_unique<IncomingBody>(std::move(connection), pool_, clock_, length, keep_alive);
  co_return response;
}

net::awaitable<Result<Response>> Client::send(const Url& url, Request request) {
  const std::string context = fmt::format("{} {}", request.method, url.origin());
  auto tls = url.is_secure ? options_.tls() : nullptr;
  if (auto idle = take_idle(url, tls.get())) {
    auto response = co_await exchange(std::move(idle), url, request);
    const bool is_stale = !response && response.error().reason == Reason::closed;
    const bool can_repeat = !request.body || request.body->rewind();
    if (!is_stale || !can_repeat) {
      if (!response) co_return std::move(response).error().within(context);
      co_return response;
    }
  }
  auto connection = co_await open(url, std::move(tls));
  if (!connection) co_return std::move(connection).error().within(context);
  auto response = co_await exchange(*std::move(connection), url, request);
  if (!response) co_return std::move(response).error().within(context);
  co_return response;
}

}  // namespace postern::http
