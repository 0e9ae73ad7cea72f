// Server and client against each other, over the in-memory network and in virtual time.
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "shared/http/client.hpp"
#include "shared/http/server.hpp"
#include "shared/testing/certificates.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern::http {
namespace {

using namespace std::chrono_literals;
using namespace net::experimental::awaitable_operators;

/// A body that does not say how long it is.
class Pieces final : public Body {
 public:
  explicit Pieces(int count) : left_(count) {}
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  net::awaitable<Result<Bytes>> next() override { co_return left_-- > 0 ? as_bytes("piece ") : Bytes{}; }

 private:
  int left_;
};

/// Two pieces, each of which takes longer than any peer may.
class Patient final : public Body {
 public:
  explicit Patient(Clock& clock) : clock_(clock) {}
  std::optional<std::uint64_t> length() const override { return 4; }
  net::awaitable<Result<Bytes>> next() override {
    if (given_ == 2) co_return Bytes{};
    POSTERN_CO_CHECK(co_await clock_.sleep(50s));
    ++given_;
    co_return as_bytes("ab");
  }

 private:
  Clock& clock_;
  int given_ = 0;
};

class ExchangeTest : public ::testing::Test {
 protected:
  ExchangeTest() { start({}); }
  ~ExchangeTest() override { EXPECT_TRUE(loop_.run(server_->stop(1s))); }

  void start(ServerOptions options) {
    if (server_) EXPECT_TRUE(loop_.run(server_->stop(1s)));
    server_ = std::make_unique<Server>(
        network_, loop_.clock(), random_, log_, std::vector{loop_.executor()},
        [this](Request& request) { return handle(request); }, std::move(options));
    ASSERT_TRUE(server_->listen({"cloud", 80}));
  }

  net::awaitable<Response> handle(Request& request) {
    if (request.path == "/pieces") {
      Response response;
      response.body = std::make_unique<Pieces>(50'000);
      co_return response;
    }
    if (request.path == "/patient") {
      Response response;
      response.body = std::make_unique<Patient>(loop_.clock());
      co_return response;
    }
    if (request.path == "/count") {
      const auto body = co_await read_all(*request.body, 1 << 20);
      co_return Response::text(200, "text/plain", std::to_string(body->size()));
    }
    if (request.path == "/throw") throw std::runtime_error("broken invariant");
    if (request.path == "/hang-up") co_return Response::close_connection();
    if (request.path == "/slow") (void)co_await loop_.clock().sleep(10s);
    if (request.path == "/ignore") co_return Response::empty(401);
    if (request.path == "/nothing") co_return Response::empty(204);
    POSTERN_ASSERT((co_await read_all(*request.body, 1 << 20)).has_value());
    co_return Response::text(200, "text/plain", request.method + " " + request.path);
  }

  static Request make(std::string method, std::unique_ptr<Body> body = nullptr) {
    Request request;
    request.method = std::move(method);
    request.body = std::move(body);
    return request;
  }
  static net::awaitable<Result<std::string>> fetch(Client& client, std::string url, Request request) {
    POSTERN_CO_TRY(Response response, co_await client.send(*Url::parse(url), std::move(request)));
    POSTERN_CO_TRY(const std::string body, co_await read_all(*response.body, 64 << 20));
    co_return fmt::format("{} {}", response.status, body);
  }
  static net::awaitable<Result<std::string>> talk_raw(Network& network, std::string text) {
    POSTERN_CO_TRY(auto stream, co_await network.connect({"cloud", 80}));
    POSTERN_CO_CHECK(co_await stream->write_bytes(as_bytes(text)));
    std::string received;
    std::array<std::byte, 4096> buffer;
    for (;;) {
      const auto count = co_await stream->read_some(buffer);
      if (!count || *count == 0) co_return received;
      received += as_text(Bytes(buffer).first(*count));
    }
  }
  std::string raw(std::string text) { return *loop_.run(talk_raw(network_, std::move(text))); }

  testing::Loop loop_;
  testing::MemoryNetwork network_{loop_.executor()};
  testing::MemoryLog log_;
  testing::SeededRandom random_{1};
  std::unique_ptr<Server> server_;
};

TEST_F(ExchangeTest, ServesOneRequestAfterAnotherOnAKeptConnection) {
  const std::string one = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string received = raw(one + one + "GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(received,
              ::testing::MatchesRegex("HTTP/1.1 200 OK(.|\n)*GET /aHTTP/1.1 200 OK(.|\n)*GET /aHTTP/1.1 "
                                      "200 OK(.|\n)*Connection: close(.|\n)*GET /b"));
}

TEST_F(ExchangeTest, StreamsUploadsWithLengthAndInChunks) {
  Client client(network_, loop_.clock(), {});
  const std::string text(1'000'000, 'x');
  EXPECT_EQ(*loop_.run(fetch(client, "http://cloud/count", make("PUT", std::make_unique<TextBody>(text)))),
            "200 1000000");
  EXPECT_EQ(*loop_.run(fetch(client, "http://cloud/count", make("PUT", std::make_unique<Pieces>(50'000)))),
            "200 300000");
}

TEST_F(ExchangeTest, ABodyMayTakeLongerForAPieceThanAPeerMay) {
  start({.progress_max = 10s});
  Client client(network_, loop_.clock(), {});
  EXPECT_EQ(*loop_.run(fetch(client, "http://cloud/patient", make("GET"))), "200 abab");
}

TEST_F(ExchangeTest, ABodyThatFailsEndsTheRequestWithItsOwnError) {
  class Broken final : public Body {
   public:
    std::optional<std::uint64_t> length() const override { return 1000; }
    net::awaitable<Result<Bytes>> next() override { co_return transient("the disk said no"); }
  };
  Client client(network_, loop_.clock(), {});
  const SteadyTime started = loop_.clock().now();
  const auto answer = loop_.run(fetch(client, "http://cloud/count", make("PUT", std::make_unique<Broken>())));
  ASSERT_FALSE(answer);
  EXPECT_TRUE(answer.error().what.contains("the disk said no")) << answer.error().what;
  EXPECT_LE(loop_.clock().now() - started, 2s);
}

TEST_F(ExchangeTest, StreamsDownloadsInChunks) {
  Client client(network_, loop_.clock(), {});
  const auto received = loop_.run(fetch(client, "http://cloud/pieces", make("GET")));
  EXPECT_EQ(received->size(), 4 + 300'000U);
}

TEST_F(ExchangeTest, WorksTheSameOverTls) {
  const auto certificate = testing::self_signed("cloud");
  ServerOptions options;
  options.tls = [tls = *TlsServerContext::make({certificate.certificate_pem, certificate.key_pem})] {
    return tls;
  };
  start(std::move(options));
  ClientOptions client_options;
  client_options.tls = *TlsClientContext::make(
      {.trust_pem = certificate.certificate_pem, .certificate_chain_pem = {}, .private_key_pem = {}});
  Client client(network_, loop_.clock(), std::move(client_options));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(*loop_.run(fetch(client, "https://cloud:80/x", make("GET"))), "200 GET /x");
  }
}

// Whoever connects and says nothing takes a place for a second, not for good.
TEST_F(ExchangeTest, LeavesConnectionsWaitingWhileAsManyHandshakesAsItMayDoAreUnderWay) {
  const auto certificate = testing::self_signed("cloud");
  ServerOptions options;
  options.tls = [tls = *TlsServerContext::make({certificate.certificate_pem, certificate.key_pem})] {
    return tls;
  };
  options.handshakes_max = 2;
  start(std::move(options));
  std::vector<std::unique_ptr<Stream>> silent;
  for (int i = 0; i < 3; ++i) silent.push_back(*loop_.run(network_.connect({"cloud", 80})));
  loop_.settle();
  EXPECT_EQ(server_->connections(), 2U);
  ClientOptions client_options;
  client_options.tls = *TlsClientContext::make(
      {.trust_pem = certificate.certificate_pem, .certificate_chain_pem = {}, .private_key_pem = {}});
  Client client(network_, loop_.clock(), std::move(client_options));
  const auto begun = loop_.clock().now();
  EXPECT_EQ(*loop_.run(fetch(client, "https://cloud:80/x", make("GET"))), "200 GET /x");
  EXPECT_NEAR(std::chrono::duration<double>(loop_.clock().now() - begun).count(), 1, 0.2);
  EXPECT_EQ(server_->connections(), 4U);
}

TEST_F(ExchangeTest, EchoesTheRequestIdOrMakesOne) {
  EXPECT_THAT(raw("GET / HTTP/1.1\r\nHost: x\r\nX-MEN-RequestID: r-7\r\nConnection: close\r\n\r\n"),
              ::testing::HasSubstr("X-MEN-RequestID: r-7\r\n"));
  EXPECT_THAT(raw("GET / HTTP/1.1\r\nHost: x\r\nX-MEN-RequestID: a b\r\nConnection: close\r\n\r\n"),
              ::testing::Not(::testing::HasSubstr("a b")));
}

TEST_F(ExchangeTest, GivesNoLengthToAnAnswerWithoutContent) {
  const std::string received = raw("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(received, ::testing::StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(received, ::testing::Not(::testing::HasSubstr("Content-Length")));
}

TEST_F(ExchangeTest, AnswersHeadWithoutABody) {
  Client client(network_, loop_.clock(), {});
  EXPECT_EQ(*loop_.run(fetch(client, "http://cloud/a", make("HEAD"))), "200 ");
  EXPECT_EQ(*loop_.run(fetch(client, "http://cloud/a", make("GET"))), "200 GET /a")
      << "the connection goes on";
}

TEST_F(ExchangeTest, RefusesMalformedAndOversizedHeads) {
  EXPECT_THAT(raw("nonsense\r\n\r\n"), ::testing::StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(raw("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"),
              ::testing::StartsWith("HTTP/1.1 431 "));
}

TEST_F(ExchangeTest, AnswersBeforeTheBodyWasReadAndThenCloses) {
  const std::string received =
      raw("PUT /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nonly a little");
  EXPECT_THAT(received, ::testing::StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(received, ::testing::HasSubstr("Connection: close\r\n"));
}

TEST_F(ExchangeTest, AsksForTheBodyThatWaitsToBeAskedFor) {
  EXPECT_THAT(raw("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: "
                  "close\r\n\r\nhi"),
              ::testing::StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

TEST_F(ExchangeTest, HangsUpWithoutAWordWhenTheHandlerSaysSo) {
  EXPECT_EQ(raw("GET /hang-up HTTP/1.1\r\nHost: x\r\n\r\n"), "");
}

TEST_F(ExchangeTest, SurvivesAHandlerThatThrows) {
  EXPECT_THAT(raw("GET /throw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              ::testing::HasSubstr("internal error"));
  EXPECT_EQ(log_.count("http.handler_failed"), 1U);
  EXPECT_THAT(raw("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), ::testing::HasSubstr("GET /a"));
}

TEST_F(ExchangeTest, ClosesConnectionsThatAreSilentOrSlow) {
  const auto begun = loop_.clock().now();
  EXPECT_EQ(raw(""), "");
  EXPECT_NEAR(std::chrono::duration<double>(loop_.clock().now() - begun).count(), 180, 1);
  const auto slow = loop_.clock().now();
  EXPECT_EQ(raw("GET / HTTP/1.1\r\nHost:"), "");
  EXPECT_NEAR(std::chrono::duration<double>(loop_.clock().now() - slow).count(), 30, 1);
}

TEST_F(ExchangeTest, FinishesABusyRequestBeforeItStops) {
  Client client(network_, loop_.clock(), {});
  auto [answer, stopped] =
      loop_.run(fetch(client, "http://cloud/slow", make("GET")) && [this]() -> net::awaitable<Status> {
        (void)co_await loop_.clock().sleep(1s);
        co_return co_await server_->stop(60s);
      }());
  EXPECT_EQ(*answer, "200 GET /slow");
  EXPECT_TRUE(stopped);
}

TEST_F(ExchangeTest, EndsARequestThatOutlivesTheGrace) {
  Client client(network_, loop_.clock(), {});
  auto [answer, stopped] =
      loop_.run(fetch(client, "http://cloud/slow", make("GET")) && [this]() -> net::awaitable<Status> {
        (void)co_await loop_.clock().sleep(1s);
        co_return co_await server_->stop(2s);
      }());
  EXPECT_FALSE(answer);
  EXPECT_TRUE(stopped);
}

TEST_F(ExchangeTest, ClientRepeatsARequestWhoseKeptConnectionHasDied) {
  Client client(network_, loop_.clock(), {});
  EXPECT_EQ(*loop_.run(fetch(client, "http://cloud/a", make("GET"))), "200 GET /a");
  network_.cut_all();
  EXPECT_EQ(*loop_.run(fetch(client, "http://cloud/b", make("PUT", std::make_unique<TextBody>("x")))),
            "200 PUT /b");
}

TEST_F(ExchangeTest, ClientSaysWhatItCouldNotDo) {
  ClientOptions options;
  options.response_max = 5s;
  Client client(network_, loop_.clock(), options);
  const auto late = loop_.run(fetch(client, "http://cloud/slow", make("GET")));
  EXPECT_EQ(late.error().reason, Reason::timed_out);
  EXPECT_EQ(late.error().what, "GET http://cloud: deadline passed");
  EXPECT_EQ(loop_.run(fetch(client, "http://nobody/", make("GET"))).error().kind, Kind::transient);
  EXPECT_EQ(loop_.run(fetch(client, "https://cloud:80/", make("GET"))).error().reason, Reason::invalid);
}

}  // namespace
}  // namespace postern::http
