#include "shared/async/pool.hpp"

#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "shared/testing/loop.hpp"

namespace postern {
namespace {

net::awaitable<std::pair<std::thread::id, std::thread::id>> where_it_runs(Pool& pool) {
  const auto work = co_await pool.run([] { return std::this_thread::get_id(); });
  co_return std::pair(work, std::this_thread::get_id());
}

TEST(Pool, RunsWorkOnItsThreadsAndResumesTheCallerOnItsOwn) {
  net::io_context context;
  Pool pool(1);
  auto result = net::co_spawn(context, where_it_runs(pool), net::use_future);
  const auto guard = net::make_work_guard(context);
  std::jthread runner([&] { context.run(); });
  const auto [work, caller] = result.get();
  EXPECT_EQ(caller, runner.get_id());
  EXPECT_NE(work, runner.get_id());
  context.stop();
}

TEST(Pool, RunsWorkInPlaceWhenItHasNoThreads) {
  Pool pool(0);
  testing::Loop loop;
  const auto [work, caller] = loop.run(where_it_runs(pool));
  EXPECT_EQ(work, caller);
}

}  // namespace
}  // namespace postern
