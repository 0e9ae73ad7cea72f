#include "shared/transport/tcp.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
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

/// Reads `bytes` after its turn has come once, and notes whether `is_writable` was set before.
net::awaitable<Status> read_late(Stream& reader, std::size_t bytes, const bool& is_writable,
                                 bool& was_writable) {
  co_await net::post(reader.executor(), net::use_awaitable);
  was_writable = is_writable;
  std::vector<std::byte> buffer(64 << 10);
  while (bytes > 0) {
    POSTERN_CO_TRY(const std::size_t count, co_await reader.read_some(buffer));
    bytes -= count;
  }
  co_return Status{};
}

/// Fills a connection whose peer does not read. True: writable() waited until it did.
net::awaitable<Result<bool>> waits_for_the_reader(Network& network, Listener& listener) {
  POSTERN_CO_TRY(auto writer, co_await network.connect(listener.local()));
  POSTERN_CO_TRY(auto reader, co_await listener.accept());
  const std::vector<std::byte> piece(64 << 10);
  std::size_t total = 0;
  for (std::size_t taken = piece.size(); taken > 0; total += taken) {
    POSTERN_CO_TRY(taken, writer->write_now(piece));
  }
  bool is_writable = false;
  bool was_writable = true;
  auto reading = net::co_spawn(writer->executor(), read_late(*reader, total, is_writable, was_writable),
                               net::use_future);
  POSTERN_CO_CHECK(co_await writer->writable());
  is_writable = true;
  while (reading.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    co_await net::post(writer->executor(), net::use_awaitable);
  }
  POSTERN_CO_CHECK(reading.get());
  co_return !was_writable;
}

TEST(Tcp, IsWritableOnceTheReaderHasMadeRoom) {
  net::io_context context;
  SystemNetwork network;
  auto listener = *network.listen(context.get_executor(), {"127.0.0.1", 0});
  const auto waited = run(waits_for_the_reader(network, *listener), context);
  ASSERT_TRUE(waited) << waited.error().what;
  EXPECT_TRUE(*waited);
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
