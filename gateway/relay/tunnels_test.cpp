#include "gateway/relay/tunnels.hpp"

#include "shared/async/task_scope.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

/// A tunnel between two stream pairs, of which the test holds the outer ends.
class TunnelsTest : public ::testing::Test {
 protected:
  TunnelsTest() { tasks_.spawn(loop_.executor(), "watchdog", watchdog_->run()); }
  ~TunnelsTest() override {
    tasks_.stop(net::cancellation_type::terminal);
    EXPECT_TRUE(loop_.run(tasks_.join(loop_.clock(), 10s)));
  }

  void open(Tunnels& tunnels, std::string early_from_device = "", std::string early_from_upstream = "") {
    auto [outer, inner] = testing::make_stream_pair(loop_.executor());
    auto [near, far] = testing::make_stream_pair(loop_.executor());
    device_ = std::move(outer);
    inside_ = std::move(inner);
    upstream_ = std::move(far);
    early_ = std::move(early_from_device);
    const auto early = as_bytes(early_from_upstream);
    tasks_.spawn(loop_.executor(), "tunnel",
                 tunnels.run(*tunnels.enter(), watchdog_,
                             {.device = *inside_,
                              .early_from_device = as_bytes(early_),
                              .upstream = std::move(near),
                              .early_from_upstream = {early.begin(), early.end()}},
                             "r-1", "device-1"));
    loop_.settle();
  }
  void say(Stream& stream, std::string text) {
    EXPECT_TRUE(loop_.run(
        [&]() -> net::awaitable<Status> { co_return co_await stream.write_bytes(as_bytes(text)); }()));
  }
  /// What arrives next; "end" when the stream has ended, "error" when it has broken.
  std::string hear(Stream& stream) {
    std::array<std::byte, 4096> buffer;
    const auto count = loop_.run(stream.read_some(buffer));
    if (!count) return "error";
    return *count == 0 ? "end" : std::string(as_text(Bytes(buffer).first(*count)));
  }

  testing::Loop loop_;
  testing::MemoryLog log_;
  Metrics metrics_;
  std::shared_ptr<http::Watchdog> watchdog_ = std::make_shared<http::Watchdog>(loop_.clock());
  TaskScope tasks_{loop_.executor(), log_};
  Tunnels tunnels_{metrics_, loop_.clock(), log_, {.count_max = 2}};
  std::unique_ptr<Stream> device_;    ///< the device's own end
  std::unique_ptr<Stream> inside_;    ///< the gateway's end of it
  std::unique_ptr<Stream> upstream_;  ///< the server's own end
  std::string early_;
};

TEST_F(TunnelsTest, CopiesBothWaysBeginningWithWhatCameEarly) {
  open(tunnels_, "early up", "early down");
  EXPECT_EQ(hear(*upstream_), "early up");
  EXPECT_EQ(hear(*device_), "early down");
  say(*device_, "question");
  EXPECT_EQ(hear(*upstream_), "question");
  say(*upstream_, "answer");
  EXPECT_EQ(hear(*device_), "answer");
  EXPECT_EQ(metrics_.tunnel_up_bytes, 16U);
  EXPECT_EQ(metrics_.tunnel_down_bytes, 16U);
}

TEST_F(TunnelsTest, PassesAnEndOnAndLetsTheOtherSideFinish) {
  open(tunnels_);
  EXPECT_TRUE(loop_.run(device_->shutdown()));
  EXPECT_EQ(hear(*upstream_), "end");
  say(*upstream_, "last words");
  EXPECT_EQ(hear(*device_), "last words");
  EXPECT_TRUE(loop_.run(upstream_->shutdown()));
  EXPECT_EQ(hear(*device_), "end");
  loop_.settle();
  EXPECT_EQ(tunnels_.count(), 0U);
}

TEST_F(TunnelsTest, EndsOneThatIsSilentButNotOneThatIsKeptAlive) {
  open(tunnels_);
  for (int i = 0; i < 4; ++i) {
    loop_.advance(9min);
    say(*upstream_, "ping");
    EXPECT_EQ(hear(*device_), "ping");
  }
  loop_.advance(10min + 1s);
  EXPECT_EQ(tunnels_.count(), 0U);
  EXPECT_NE(hear(*device_), "ping");
}

TEST_F(TunnelsTest, EndsBothSidesWhenOneBreaks) {
  open(tunnels_);
  upstream_->close();
  loop_.settle();
  EXPECT_EQ(tunnels_.count(), 0U);
}

TEST_F(TunnelsTest, EndsOneWhosePeerTakesNothing) {
  open(tunnels_);
  const auto sent = loop_.run([&]() -> net::awaitable<Status> {
    const std::string text(1 << 20, 'x');
    co_return co_await device_->write_bytes(as_bytes(text));
  }());
  EXPECT_FALSE(sent);
  EXPECT_EQ(tunnels_.count(), 0U);
}

TEST_F(TunnelsTest, RefusesMoreThanItMayHave) {
  const auto one = tunnels_.enter();
  {
    const auto two = tunnels_.enter();
    EXPECT_FALSE(tunnels_.enter());
    EXPECT_EQ(metrics_.tunnels_refused, 1U);
  }
  EXPECT_TRUE(tunnels_.enter());
}

TEST_F(TunnelsTest, EndsAllOfThemWhenStopped) {
  open(tunnels_);
  tunnels_.stop();
  loop_.settle();
  EXPECT_EQ(tunnels_.count(), 0U);
  EXPECT_FALSE(tunnels_.enter());
}

}  // namespace
}  // namespace postern::gateway
