#include "shared/transport/tcp.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace postern {
namespace {

/// Runs an operation over real sockets.
template <class T>
T run(net::awaitable<T> operation, net::io_context& context) {
  auto future = net::co_spawn(context, std::move(operation), net::use_future);
  context.restart();
  context.run();
  return future.get();
}

net::awaitable<Result<std::string>> exchange(Network& network, Listener& listener) {
  POSTERN_CO_TRY(auto client, co_await network.connect(listener.local()));
  POSTERN_CO_TRY(auto server, co_await listener.accept());
  const std::array pieces{as_bytes("hel"), as_bytes("lo")};
  POSTERN_CO_CHECK(co_await client->write(pieces));
  POSTERN_CO_CHECK(co_await client->shutdown());
  std::string received;
  std::array<std::byte, 16> buffer;
  for (;;) {
    POSTERN_CO_TRY(const std::size_t count, co_await server->read_some(buffer));
    if (count == 0) co_return received;
    received += as_text(Bytes(buffer).first(count));
  }
}

TEST(Tcp, CarriesBytesOverLoopback) {
  net::io_context context;
  SystemNetwork network;
  auto listener = network.listen(context.get_executor(), {"127.0.0.1", 0});
  ASSERT_TRUE(listener) << listener.error().what;
  EXPECT_NE((*listener)->local().port, 0);
  EXPECT_EQ(*run(exchange(network, **listener), context), "hello");
}

TEST(Tcp, LetsSeveralListenersShareAPort) {
  net::io_context context;
  SystemNetwork network;
  auto first = *network.listen(context.get_executor(), {"127.0.0.1", 0});
  EXPECT_TRUE(network.listen(context.get_executor(), first->local()));
}

TEST(Tcp, NamesWhatItCouldNotReach) {
  net::io_context context;
  SystemNetwork network;
  Endpoint gone;
  {
    auto listener = *network.listen(context.get_executor(), {"127.0.0.1", 0});
    gone = listener->local();
  }
  const auto refused = run(network.connect(gone), context);
  EXPECT_EQ(refused.error().kind, Kind::transient);
  EXPECT_THAT(refused.error().what, ::testing::HasSubstr(gone.to_string()));
  EXPECT_EQ(network.listen(context.get_executor(), {"not-an-address", 0}).error().reason, Reason::invalid);
}

}  // namespace
}  // namespace postern
