#include "shared/transport/stream.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "shared/testing/loop.hpp"
#include "shared/testing/memory_network.hpp"

namespace postern {
namespace {

using namespace net::experimental::awaitable_operators;

TEST(Endpoint, IsReadFromAndWrittenAsText) {
  EXPECT_EQ(*Endpoint::parse("localhost:443"), (Endpoint{"localhost", 443}));
  EXPECT_EQ(*Endpoint::parse("[::1]:80"), (Endpoint{"::1", 80}));
  EXPECT_EQ(*Endpoint::parse(":9102"), (Endpoint{"::", 9102}));
  EXPECT_EQ((Endpoint{"::1", 80}).to_string(), "[::1]:80");
  for (const char* text : {"", "host", "host:", "host:65536", "host:x", "::1:80"})
    EXPECT_FALSE(Endpoint::parse(text)) << text;
}

net::awaitable<Status> send_all(Stream& stream, std::string_view text) {
  POSTERN_CO_CHECK(co_await stream.write_bytes(as_bytes(text)));
  co_return co_await stream.shutdown();
}

net::awaitable<Result<std::string>> receive_all(Stream& stream) {
  std::string received;
  std::array<std::byte, 1000> buffer;
  for (;;) {
    POSTERN_CO_TRY(const std::size_t count, co_await stream.read_some(buffer));
    if (count == 0) co_return received;
    received += as_text(Bytes(buffer).first(count));
  }
}

TEST(MemoryStream, CarriesMoreThanItsWindowBecauseTheWriterWaits) {
  testing::Loop loop;
  auto [client, server] = testing::make_stream_pair(loop.executor(), 100);
  const std::string text(10'000, 'x');
  const auto both = loop.run(send_all(*client, text) && receive_all(*server));
  EXPECT_TRUE(std::get<0>(both));
  EXPECT_EQ(*std::get<1>(both), text);
}

TEST(MemoryStream, FailsOnBothEndsWhenOneIsClosed) {
  testing::Loop loop;
  auto [client, server] = testing::make_stream_pair(loop.executor());
  client->close();
  EXPECT_EQ(loop.run(receive_all(*server)).error().reason, Reason::closed);
  EXPECT_EQ(loop.run(server->write_bytes(as_bytes("x"))).error().reason, Reason::closed);
}

net::awaitable<Result<std::string>> greet(Network& network, Listener& listener) {
  POSTERN_CO_TRY(auto client, co_await network.connect(listener.local()));
  POSTERN_CO_TRY(auto server, co_await listener.accept());
  POSTERN_CO_CHECK(co_await send_all(*client, "hello"));
  co_return co_await receive_all(*server);
}

TEST(MemoryNetwork, ConnectsToWhoListens) {
  testing::Loop loop;
  testing::MemoryNetwork network(loop.executor());
  auto listener = *network.listen(loop.executor(), {"cloud", 443});
  EXPECT_EQ(*loop.run(greet(network, *listener)), "hello");
  EXPECT_EQ(loop.run(network.connect({"nobody", 443})).error().kind, Kind::transient);
  EXPECT_EQ(network.listen(loop.executor(), {"cloud", 443}).error().reason, Reason::conflict);
}

}  // namespace
}  // namespace postern
