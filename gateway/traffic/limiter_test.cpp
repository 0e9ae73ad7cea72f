#include "gateway/traffic/limiter.hpp"

#include <numeric>
#include <ranges>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPiece = Limiter::kGrantBytesMax;

class LimiterTest : public ::testing::Test {
 protected:
  ~LimiterTest() override {
    for (auto& limiter : limiters_) EXPECT_TRUE(loop_.run(limiter->stop()));
    scope_.stop(net::cancellation_type::terminal);
    EXPECT_TRUE(loop_.run(scope_.join(loop_.clock(), 1min)));
  }

  Limiter& make(std::string_view calendar) {
    // What the wall clock shows is UTC here.
    limiters_.push_back(
        std::make_unique<Limiter>(Calendar::parse(calendar).value(), loop_.clock(), log_, loop_.executor(),
                                  [](WallTime time) { return LocalTime(time.time_since_epoch()); }));
    limiters_.back()->start();
    return *limiters_.back();
  }

  /// Asks again and again, each time for `piece`, with a pause in between; returns what it has got so far.
  const std::uint64_t& read(Limiter& limiter, std::size_t piece = kPiece, Duration pause = 0s) {
    std::uint64_t& total = totals_.emplace_back(0);
    spawn(keep_reading(limiter, piece, pause, total));
    return total;
  }
  net::awaitable<void> keep_reading(Limiter& limiter, std::size_t piece, Duration pause,
                                    std::uint64_t& total) {
    for (;;) {
      if (auto acquired = co_await limiter.acquire(Traffic::bulk, piece); !acquired) co_return;
      total += piece;
      if (auto slept = co_await loop_.clock().sleep(pause); !slept) co_return;
    }
  }

  struct Asked {
    SteadyTime begin;
    SteadyTime end;
    std::optional<Status> outcome;
    Duration took() const { return end - begin; }
    bool succeeded() const { return outcome && outcome->has_value(); }
    bool failed() const { return outcome && !outcome->has_value(); }
  };
  /// Asks once.
  const Asked& ask(Limiter& limiter, Traffic traffic, std::size_t bytes) {
    Asked& asked = asked_.emplace_back(Asked{.begin = loop_.clock().now(), .end = {}, .outcome = {}});
    spawn(ask_once(limiter, traffic, bytes, asked));
    return asked;
  }
  net::awaitable<void> ask_once(Limiter& limiter, Traffic traffic, std::size_t bytes, Asked& asked) {
    asked.outcome = co_await limiter.acquire(traffic, bytes);
    asked.end = loop_.clock().now();
  }
  double sum() const {
    return static_cast<double>(std::accumulate(totals_.begin(), totals_.end(), std::uint64_t{0}));
  }
  void spawn(net::awaitable<void> task) {
    ASSERT_TRUE(scope_.spawn(loop_.executor(), "test", std::move(task)));
  }

  std::deque<std::uint64_t> totals_;
  std::deque<Asked> asked_;
  NullLog log_;
  testing::Loop loop_;
  std::vector<std::unique_ptr<Limiter>> limiters_;
  TaskScope scope_{loop_.executor(), log_};
};

TEST_F(LimiterTest, CountsWhatPassesAnUnlimitedLink) {
  Limiter& limiter = make("");
  EXPECT_TRUE(limiter.is_unlimited());
  EXPECT_TRUE(limiter.try_acquire(Traffic::bulk, 1 << 30));
  EXPECT_TRUE(loop_.run(limiter.acquire(Traffic::bulk, 5)));
  limiter.charge(Traffic::state, 7);
  EXPECT_EQ(limiter.counters(Traffic::bulk).granted_bytes, (1U << 30) + 5U);
  EXPECT_EQ(limiter.counters(Traffic::state).granted_bytes, 7U);
}

TEST_F(LimiterTest, KeepsTheRate) {
  Limiter& limiter = make("2 Mbit/s");
  const std::uint64_t& total = read(limiter);
  loop_.advance(100s);
  EXPECT_NEAR(static_cast<double>(total), 100 * 250e3, 2.0 * kPiece);
}

TEST_F(LimiterTest, KeepsAHighRateToo) {
  Limiter& limiter = make("8 Gbit/s");
  for (int reader = 0; reader < 4; ++reader) read(limiter);
  loop_.advance(2s);
  EXPECT_NEAR(sum(), 2e9, 0.06 * 2e9);
}

TEST_F(LimiterTest, GivesNoMoreThanABurstAfterAPause) {
  Limiter& limiter = make("8 Mbit/s");
  loop_.advance(1h);
  std::size_t burst = 0;
  while (limiter.try_acquire(Traffic::bulk, 1000)) burst += 1000;
  EXPECT_NEAR(static_cast<double>(burst), 100e3, 1000);
}

TEST_F(LimiterTest, LetsTwoHundredReadersProgressEvenly) {
  Limiter& limiter = make("80 Mbit/s");
  for (int reader = 0; reader < 200; ++reader) read(limiter);
  for (int second = 0; second < 120; ++second) {
    loop_.advance(1s);
    const auto [least, most] = std::ranges::minmax(totals_);
    ASSERT_LE(most - least, kPiece) << "after " << second + 1 << " s";
  }
  EXPECT_NEAR(sum(), 120 * 10e6, 200.0 * kPiece);
}

TEST_F(LimiterTest, ServesEveryoneInTimeWhenThousandsWait) {
  Limiter& limiter = make("2 Mbit/s");
  for (int reader = 0; reader < 5000; ++reader) {
    ask(limiter, Traffic::bulk, limiter.grant_bytes());
    loop_.settle();
  }
  loop_.advance(Limiter::kWaitMax);
  EXPECT_TRUE(std::ranges::all_of(asked_, &Asked::succeeded));
}

TEST_F(LimiterTest, LosesNothingToASlowReader) {
  Limiter& limiter = make("80 Mbit/s");
  const std::uint64_t& slow = read(limiter, kPiece, 10s);
  for (int reader = 0; reader < 10; ++reader) read(limiter);
  loop_.advance(60s);
  const auto [least, most] = std::ranges::minmax(std::ranges::subrange(totals_.begin() + 1, totals_.end()));
  EXPECT_LE(most - least, kPiece);
  EXPECT_NEAR(static_cast<double>(most), (60 * 10e6 - static_cast<double>(slow)) / 10, 2.0 * kPiece);
  EXPECT_GE(slow, 5 * kPiece);
}

TEST_F(LimiterTest, LetsASmallRequestPassBetweenThePiecesOfALargeOne) {
  Limiter& limiter = make("8 Mbit/s");
  const Asked& large = ask(limiter, Traffic::bulk, 10'000'000);
  const Asked& small = ask(limiter, Traffic::bulk, 1000);
  loop_.advance(20s);
  ASSERT_TRUE(large.succeeded() && small.succeeded());
  EXPECT_LE(small.took(), 100ms);
  EXPECT_NEAR(static_cast<double>(large.took() / 1ms), 10'000, 50);
}

TEST_F(LimiterTest, LetsStatePassWithinOneGrantWhileBulkSaturatesTheLink) {
  Limiter& limiter = make("2 Mbit/s");
  for (int reader = 0; reader < 200; ++reader) read(limiter);
  for (int second = 0; second < 30; ++second) {
    loop_.advance(997ms);
    const Asked& asked = ask(limiter, Traffic::state, 2000);
    loop_.advance(200ms);
    ASSERT_TRUE(asked.succeeded());
    EXPECT_LE(asked.took(), 110ms);
  }
}

TEST_F(LimiterTest, GivesToTheBackgroundOnlyWhatNobodyWaitsFor) {
  Limiter& limiter = make("8 Mbit/s");
  const Asked& background = ask(limiter, Traffic::background, 1'000'000);
  loop_.advance(500ms);
  const Asked& bulk = ask(limiter, Traffic::bulk, 1'000'000);
  loop_.advance(3s);
  ASSERT_TRUE(bulk.succeeded() && background.succeeded());
  EXPECT_NEAR(static_cast<double>(bulk.took() / 1ms), 1000, 60);
  EXPECT_NEAR(static_cast<double>(background.took() / 1ms), 2000, 60);
}

TEST_F(LimiterTest, TakesBackWhatWasNotMoved) {
  Limiter& limiter = make("8 Mbit/s");
  loop_.advance(1s);
  EXPECT_TRUE(limiter.try_acquire(Traffic::bulk, 100'000));
  EXPECT_FALSE(limiter.try_acquire(Traffic::bulk, 40'000));
  limiter.refund(Traffic::bulk, 40'000);
  EXPECT_TRUE(limiter.try_acquire(Traffic::bulk, 40'000));
  EXPECT_EQ(limiter.counters(Traffic::bulk).granted_bytes, 100'000U);
}

TEST_F(LimiterTest, TakesFromBulkWhatWasChargedForState) {
  Limiter& limiter = make("8 Mbit/s");
  const std::uint64_t& total = read(limiter, 10'000);
  for (int second = 0; second < 20; ++second) {
    limiter.charge(Traffic::state, 400'000);
    loop_.advance(1s);
  }
  EXPECT_NEAR(static_cast<double>(total), 20 * 600e3, 120e3);
}

TEST_F(LimiterTest, BoundsTheDebtThatIsLeftBehind) {
  Limiter& limiter = make("8 Mbit/s");
  limiter.charge(Traffic::state, 1'000'000'000);
  EXPECT_FALSE(limiter.try_acquire(Traffic::bulk, 1));
  loop_.advance(2001ms);
  EXPECT_TRUE(limiter.try_acquire(Traffic::bulk, 1));
}

TEST_F(LimiterTest, DoesNotLetTryOvertakeThoseWhoWait) {
  Limiter& limiter = make("8 Mbit/s");
  ask(limiter, Traffic::bulk, 10'000'000);
  loop_.settle();
  EXPECT_FALSE(limiter.try_acquire(Traffic::bulk, 1));
  EXPECT_EQ(limiter.counters(Traffic::bulk).waiting, 1U);
}

// The clock of the tests starts on Thursday, 2026-01-01, at midnight.
TEST_F(LimiterTest, FollowsTheCalendar) {
  Limiter& limiter = make("Thu 00:06-00:07 2 Mbit/s, Thu 00:07-00:08 off, else 8 Mbit/s");
  const std::uint64_t& total = read(limiter, 10'000);
  const auto passed_in = [&](Duration time) {
    const std::uint64_t before = total;
    loop_.advance(time);
    return static_cast<double>(total - before);
  };
  EXPECT_NEAR(passed_in(1min), 60e6, 600e3);
  loop_.advance(5min);
  EXPECT_NEAR(passed_in(1min), 60 * 250e3, 150e3);
  EXPECT_EQ(limiter.rate().to_string(), "off");
  loop_.advance(1ms);
  EXPECT_EQ(passed_in(50s), 0);
  EXPECT_TRUE(limiter.try_acquire(Traffic::state, 1 << 20)) << "state passes a link that is closed";
}

TEST_F(LimiterTest, OpensAClosedLinkAtOnceWhenItsTimeHasCome) {
  Limiter& limiter = make("Thu 00:00-00:02 off, else unlimited");
  const Asked& asked = ask(limiter, Traffic::bulk, 1 << 20);
  loop_.advance(3min);
  ASSERT_TRUE(asked.succeeded());
  EXPECT_EQ(asked.took(), 2min);
}

TEST_F(LimiterTest, NeitherStallsNorBurstsWhenTheWallClockSteps) {
  Limiter& limiter = make("Thu 8 Mbit/s, Fri 4 Mbit/s, else off");
  const std::uint64_t& total = read(limiter, 10'000);
  const auto passed_in = [&](Duration time) {
    const std::uint64_t before = total;
    loop_.advance(time);
    return static_cast<double>(total - before);
  };
  EXPECT_NEAR(passed_in(10s), 10e6, 200e3);
  loop_.clock().shift_wall(24h);
  EXPECT_NEAR(passed_in(10s), 5e6, 700e3);
  loop_.clock().shift_wall(-24h - 5s);  // before the beginning: another Wednesday
  EXPECT_NEAR(passed_in(10s), 10e6, 700e3);
  loop_.clock().shift_wall(-1h);
  loop_.advance(1s);
  EXPECT_EQ(limiter.rate().to_string(), "off");
  EXPECT_EQ(passed_in(10s), 0);
}

TEST_F(LimiterTest, TakesAnotherCalendar) {
  Limiter& limiter = make("off");
  const std::uint64_t& total = read(limiter, 10'000);
  loop_.advance(10s);
  EXPECT_EQ(total, 0U);
  limiter.set_calendar(Calendar::parse("8 Mbit/s").value());
  loop_.advance(11s);
  EXPECT_NEAR(static_cast<double>(total), 10e6, 1.2e6);
}

TEST_F(LimiterTest, EndsAWaitThatLastsTooLong) {
  Limiter& limiter = make("off");
  const Asked& asked = ask(limiter, Traffic::bulk, 1);
  loop_.advance(5min);
  ASSERT_TRUE(asked.failed());
  EXPECT_EQ(asked.outcome->error().reason, Reason::timed_out);
  EXPECT_NEAR(static_cast<double>(asked.took() / 1s), 240, 2);
}

TEST_F(LimiterTest, GivesBackWhatWasGrantedToOneWhoWentAway) {
  Limiter& limiter = make("8 Mbit/s");
  Asked gone{.begin = loop_.clock().now(), .end = {}, .outcome = {}};
  TaskScope leaving(loop_.executor(), log_);
  ASSERT_TRUE(leaving.spawn(loop_.executor(), "test", ask_once(limiter, Traffic::bulk, 10'000'000, gone)));
  loop_.advance(1s);
  leaving.stop(net::cancellation_type::terminal);
  EXPECT_TRUE(loop_.run(leaving.join(loop_.clock(), 1s)));
  ASSERT_TRUE(gone.failed());
  EXPECT_EQ(gone.outcome->error().kind, Kind::cancelled);
  EXPECT_EQ(limiter.counters(Traffic::bulk).waiting, 0U);
  EXPECT_EQ(limiter.counters(Traffic::bulk).granted_bytes, 0U);
  const Asked& other = ask(limiter, Traffic::bulk, 50'000);
  loop_.advance(100ms);
  EXPECT_TRUE(other.succeeded());
}

TEST_F(LimiterTest, EndsAllWaitsWhenItStops) {
  Limiter& limiter = make("off");
  const Asked& before = ask(limiter, Traffic::bulk, 1);
  loop_.settle();
  EXPECT_TRUE(loop_.run(limiter.stop()));
  loop_.settle();
  ASSERT_TRUE(before.failed());
  EXPECT_EQ(before.outcome->error().kind, Kind::cancelled);
  const Asked& after = ask(limiter, Traffic::bulk, 1);
  loop_.settle();
  EXPECT_TRUE(after.failed());
}

TEST_F(LimiterTest, SumsUpTheTimeWaited) {
  Limiter& limiter = make("8 Mbit/s");
  const Asked& first = ask(limiter, Traffic::bulk, 1'000'000);
  const Asked& second = ask(limiter, Traffic::bulk, 1'000'000);
  loop_.advance(3s);
  EXPECT_TRUE(first.succeeded() && second.succeeded());
  EXPECT_NEAR(std::chrono::duration<double>(limiter.counters(Traffic::bulk).waited).count(), 4, 0.2);
}

// The real clock: each waiter goes on, on its own thread, and nothing is granted twice.
TEST(Limiter, ServesSeveralThreads) {
  constexpr int kThreads = 3;
  constexpr int kReaders = 8;
  constexpr int kRounds = 40;
  NullLog log;
  SystemClock clock;
  net::io_context home(1);
  std::array<net::io_context, kThreads> contexts;
  Limiter limiter(Calendar::parse("4 Gbit/s").value(), clock, log, home.get_executor());
  std::atomic<std::uint64_t> total = 0;
  const auto read = [&]() -> net::awaitable<void> {
    for (int round = 0; round < kRounds; ++round) {
      if (co_await limiter.acquire(Traffic::bulk, kPiece)) total += kPiece;
    }
  };
  std::vector<std::thread> threads;
  auto guard = net::make_work_guard(home);
  std::thread home_thread([&] { home.run(); });
  for (auto& context : contexts) {
    for (int reader = 0; reader < kReaders; ++reader) net::co_spawn(context, read(), net::detached);
  }
  for (auto& context : contexts) {
    threads.emplace_back([&context] { context.run(); });  // until all of its readers have ended
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total, std::uint64_t{kThreads} * kReaders * kRounds * kPiece);
  EXPECT_EQ(limiter.counters(Traffic::bulk).granted_bytes, total);
  EXPECT_EQ(limiter.counters(Traffic::bulk).waiting, 0U);
  guard.reset();
  home_thread.join();
}

}  // namespace
}  // namespace postern::gateway
