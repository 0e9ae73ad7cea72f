// The server's end, on a network that can be late.
#include "shared/http/server.hpp"

#include "shared/async/event.hpp"
#include "shared/testing/certificates.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern::http {
namespace {

using namespace std::chrono_literals;

/// Gives its only connection when it is closed, as when that came at the same moment.
class LateListener final : public Listener {
 public:
  LateListener(const net::any_io_executor& executor, Endpoint at, std::unique_ptr<Stream> stream)
      : local_(std::move(at)), stream_(std::move(stream)), closed_(executor) {}

  net::awaitable<Result<std::unique_ptr<Stream>>> accept() override {
    (void)co_await closed_.wait();
    if (!stream_) co_return cancelled("accept");
    co_return std::move(stream_);
  }
  void close() override { closed_.set(); }
  const Endpoint& local() const override { return local_; }

 private:
  Endpoint local_;
  std::unique_ptr<Stream> stream_;
  Event closed_;
};

class LateNetwork final : public Network {
 public:
  explicit LateNetwork(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  Result<std::unique_ptr<Listener>> listen(const net::any_io_executor& executor,
                                           const Endpoint& at) override {
    return std::unique_ptr<Listener>(std::make_unique<LateListener>(executor, at, std::move(stream_)));
  }
  net::awaitable<Result<std::unique_ptr<Stream>>> connect(const Endpoint&) override {
    co_return transient("nobody is connected here");
  }

 private:
  std::unique_ptr<Stream> stream_;
};

TEST(Server, LetsNobodyInAnyMoreWhenItStops) {
  testing::Loop loop;
  testing::MemoryLog log;
  testing::SeededRandom random(1);
  auto [device, accepted] = testing::make_stream_pair(loop.executor());
  LateNetwork network(std::move(accepted));
  const auto certificate = testing::self_signed("cloud");
  ServerOptions options;
  options.tls = [tls = *TlsServerContext::make({certificate.certificate_pem, certificate.key_pem})] {
    return tls;
  };
  const RequestHandler handler = [](Request&) -> net::awaitable<Response> { co_return Response::empty(204); };
  Server server(network, loop.clock(), random, log, {loop.executor()}, handler, std::move(options));
  ASSERT_TRUE(server.listen({"cloud", 80}));
  loop.settle();
  EXPECT_TRUE(loop.run(server.stop(1s)));
  EXPECT_EQ(server.connections(), 0U);
}

}  // namespace
}  // namespace postern::http
