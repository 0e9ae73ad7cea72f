#include "shared/async/task_scope.hpp"

#include <barrier>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>

#include "shared/async/completion.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"

namespace postern {
namespace {

using namespace std::chrono_literals;

class TaskScopeTest : public ::testing::Test {
 protected:
  net::awaitable<void> sleep_for(Duration wait, bool& woke) {
    const auto slept = co_await loop_.clock().sleep(wait);
    woke = slept.has_value();
  }
  net::awaitable<void> fail() {
    (void)co_await loop_.clock().sleep(1s);
    throw std::runtime_error("broken invariant");
  }

  testing::Loop loop_;
  testing::MemoryLog log_;
  TaskScope scope_{loop_.executor(), log_};
};

TEST_F(TaskScopeTest, JoinsChildrenThatEndByThemselves) {
  bool woke = false;
  ASSERT_TRUE(scope_.spawn(loop_.executor(), "sleeper", sleep_for(5s, woke)));
  EXPECT_TRUE(loop_.run(scope_.join(loop_.clock(), 10s)));
  EXPECT_TRUE(woke);
}

TEST_F(TaskScopeTest, CancelsChildrenThatWait) {
  bool woke = true;
  ASSERT_TRUE(scope_.spawn(loop_.executor(), "sleeper", sleep_for(24h, woke)));
  loop_.settle();
  scope_.stop(net::cancellation_type::total);
  EXPECT_TRUE(loop_.run(scope_.join(loop_.clock(), 1s)));
  EXPECT_FALSE(woke);
}

TEST_F(TaskScopeTest, CancelsAChildThatWaitsOnlyAfterwards) {
  std::optional<Completion<int>> busy;
  bool woke = true;
  const auto work_then_sleep = [&]() -> net::awaitable<void> {
    co_await suspend<int>([&](Completion<int> done) { busy = std::move(done); });
    co_await sleep_for(24h, woke);
  };
  ASSERT_TRUE(scope_.spawn(loop_.executor(), "busy", work_then_sleep()));
  loop_.settle();
  scope_.stop(net::cancellation_type::total);
  loop_.settle();
  (*busy)(0);
  EXPECT_TRUE(loop_.run(scope_.join(loop_.clock(), 1s)));
  EXPECT_FALSE(woke);
}

TEST_F(TaskScopeTest, SaysWhenTheGraceWasTooShort) {
  bool woke = false;
  ASSERT_TRUE(scope_.spawn(loop_.executor(), "sleeper", sleep_for(5s, woke)));
  EXPECT_EQ(loop_.run(scope_.join(loop_.clock(), 1s)).error().reason, Reason::timed_out);
  EXPECT_TRUE(loop_.run(scope_.join(loop_.clock(), 10s)));
}

TEST_F(TaskScopeTest, TakesNoChildrenOnceStopped) {
  scope_.stop(net::cancellation_type::terminal);
  bool woke = false;
  EXPECT_FALSE(scope_.spawn(loop_.executor(), "late", sleep_for(1s, woke)));
}

TEST_F(TaskScopeTest, LogsATaskThatThrows) {
  ASSERT_TRUE(scope_.spawn(loop_.executor(), "broken", fail()));
  EXPECT_TRUE(loop_.run(scope_.join(loop_.clock(), 10s)));
  EXPECT_EQ(log_.lines().at(0), R"(task.failed task=broken kind=bug error="broken invariant")");
}

TEST(TaskScope, CancelsAChildThatIsStartedOnAnotherThreadWhileAThirdStopsTheScope) {
  net::io_context context;
  const auto guard = net::make_work_guard(context);
  const std::jthread runner([&] { context.run(); });
  SystemClock clock;
  testing::MemoryLog log;
  const auto sleep = [&]() -> net::awaitable<void> { (void)co_await clock.sleep(24h); };
  for (int round = 0; round < 100; ++round) {
    TaskScope scope(context.get_executor(), log);
    std::barrier together(2);
    std::jthread stopper([&] {
      together.arrive_and_wait();
      scope.stop(net::cancellation_type::total);
    });
    together.arrive_and_wait();
    for (bool is_open = true; is_open;) is_open = scope.spawn(context.get_executor(), "sleeper", sleep());
    stopper.join();
    const Status joined = net::co_spawn(context, scope.join(clock, 20s), net::use_future).get();
    ASSERT_TRUE(joined) << "round " << round << ": " << joined.error().what;
  }
  context.stop();
}

}  // namespace
}  // namespace postern
