#include "gateway/control/prefetches.hpp"

#include "gateway/store/tables.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A cache and an upstream that do what they are told.
class PrefetchesTest : public ::testing::Test {
 protected:
  PrefetchesTest() { start(); }
  ~PrefetchesTest() override { stop(); }

  void start() {
    prefetches_ = std::make_unique<Prefetches>(
        database_,
        PrefetchActions{
            .resolve = [this](std::string what) -> net::awaitable<Result<std::vector<CachedArtifact>>> {
              asked_.push_back(what);
              if (upstream_error_) co_return *upstream_error_;
              co_return std::vector<CachedArtifact>{{.key = key_, .name = what}};
            },
            .start = [this](ArtifactKey) -> net::awaitable<Status> {
              kept_ = KeptArtifact{.key = key_, .state = KeptState::filling};
              co_return Status{};
            },
            .cancel = [this](const ArtifactKey&) { ++cancelled_; },
            .list = [this]() -> Result<std::vector<KeptArtifact>> {
              if (!kept_) return std::vector<KeptArtifact>{};
              return std::vector{*kept_};
            }},
        loop_.clock(), log_, loop_.executor());
    ASSERT_TRUE(prefetches_->load());
    prefetches_->start();
    loop_.settle();
  }
  void stop() {
    ASSERT_TRUE(loop_.run(prefetches_->stop()));
    prefetches_.reset();
  }
  WallTime now() { return loop_.clock().wall(); }
  std::uint64_t add(WallTime at, std::optional<unsigned> daily = {}) {
    const auto added = loop_.run(prefetches_->add("release-1", at, daily));
    EXPECT_TRUE(added);
    loop_.settle();
    return added ? added->id : 0;
  }
  PrefetchState state(std::uint64_t id) { return prefetches_->find(id).value().state; }

  testing::Loop loop_;
  testing::MemoryLog log_;
  MemoryDatabase database_{{kTables.begin(), kTables.end()}};
  const ArtifactKey key_ = artifact_key("https://upstream", "id");
  std::vector<std::string> asked_;
  std::optional<Error> upstream_error_;
  std::optional<KeptArtifact> kept_;
  int cancelled_ = 0;
  std::unique_ptr<Prefetches> prefetches_;
};

TEST_F(PrefetchesTest, OneForNowIsFetchedAtOnceAndDoneWhenAllIsHere) {
  const auto id = add(now());
  EXPECT_EQ(state(id), PrefetchState::fetching);
  EXPECT_THAT(asked_, ElementsAre("release-1"));
  loop_.advance(10s);
  EXPECT_EQ(state(id), PrefetchState::fetching);
  kept_->state = KeptState::complete;
  loop_.advance(3s);
  EXPECT_EQ(state(id), PrefetchState::done);
  loop_.advance(24h);
  EXPECT_EQ(asked_.size(), 1U);
}

TEST_F(PrefetchesTest, OneForLaterWaitsForItsTime) {
  const auto id = add(now() + 90min);
  loop_.advance(89min);
  EXPECT_EQ(state(id), PrefetchState::scheduled);
  EXPECT_TRUE(asked_.empty());
  loop_.advance(1min);
  EXPECT_EQ(state(id), PrefetchState::fetching);
}

TEST_F(PrefetchesTest, AClockThatIsSetOnIsNoticedWithinAMinute) {
  const auto id = add(now() + 24h);
  loop_.clock().shift_wall(25h);
  loop_.advance(1min);
  EXPECT_EQ(state(id), PrefetchState::fetching);
}

TEST_F(PrefetchesTest, ADailyOneComesBack) {
  const auto id = add(WallTime(), 6 * 60);
  kept_ = KeptArtifact{.key = key_, .state = KeptState::complete};
  for (int day = 0; day < 3; ++day) {
    loop_.advance(24h);
    if (kept_) kept_->state = KeptState::complete;
    loop_.advance(5s);
  }
  EXPECT_EQ(asked_.size(), 3U);
  EXPECT_EQ(state(id), PrefetchState::scheduled);
  EXPECT_GT(prefetches_->find(id)->next, now());
}

TEST_F(PrefetchesTest, AClockThatWasAheadAndIsSetRightHoldsUpNoDailyOneAndNoRetry) {
  upstream_error_ = transient("the line is down");
  loop_.clock().shift_wall(24h * 365);
  const auto daily = add(WallTime(), 6 * 60);
  const auto failed = add(now());
  stop();
  loop_.clock().shift_wall(-24h * 365);
  start();
  EXPECT_LE(prefetches_->find(daily)->next, now() + 24h);
  loop_.advance(1h);
  EXPECT_GE(prefetches_->find(failed)->attempts, 2U);
  const auto asked = asked_.size();
  loop_.advance(23h);
  EXPECT_GT(asked_.size(), asked);
  EXPECT_GE(prefetches_->find(daily)->last, now() - 24h);
}

TEST_F(PrefetchesTest, WhatFailsIsTriedAgainWithGrowingPausesAndThenNoMore) {
  upstream_error_ = transient("the line is down");
  const auto id = add(now());
  EXPECT_EQ(state(id), PrefetchState::retrying);
  loop_.advance(59s);
  EXPECT_EQ(asked_.size(), 1U);
  loop_.advance(2s);
  EXPECT_EQ(asked_.size(), 2U);
  loop_.advance(24h);
  EXPECT_EQ(asked_.size(), Prefetches::kAttemptsMax);
  EXPECT_EQ(state(id), PrefetchState::failed);
  EXPECT_EQ(prefetches_->find(id)->error, "the line is down");
}

TEST_F(PrefetchesTest, WhatMayNotBeFetchedIsNotTriedAgain) {
  upstream_error_ = rejected(Reason::forbidden, "that host is not allowed");
  EXPECT_EQ(state(add(now())), PrefetchState::failed);
}

TEST_F(PrefetchesTest, WhatWasRefusedSaysWhy) {
  const auto id = add(now());
  kept_->state = KeptState::refused;
  kept_->refusal = "the checksum of data is wrong";
  loop_.advance(3s);
  EXPECT_EQ(state(id), PrefetchState::retrying);
  EXPECT_THAT(prefetches_->find(id)->error, HasSubstr("the checksum of data is wrong"));
}

TEST_F(PrefetchesTest, ARestartForgetsNoneAndBeginsWhatWasUnderWay) {
  const auto under_way = add(now());
  const auto later = add(now() + 2h);
  stop();
  loop_.advance(1h);
  start();
  EXPECT_EQ(asked_.size(), 2U);
  EXPECT_EQ(state(under_way), PrefetchState::fetching);
  EXPECT_EQ(state(later), PrefetchState::scheduled);
  stop();
  loop_.advance(2h);
  start();
  EXPECT_EQ(state(later), PrefetchState::fetching) << "its time came while nothing ran";
  EXPECT_GT(add(now()), later) << "an id is not used again";
}

TEST_F(PrefetchesTest, ACancelledOneEndsItsTransferAndIsForgotten) {
  const auto id = add(now());
  EXPECT_TRUE(loop_.run(prefetches_->cancel(id)));
  EXPECT_EQ(cancelled_, 1);
  EXPECT_FALSE(prefetches_->find(id));
  EXPECT_EQ(loop_.run(prefetches_->cancel(id)).error().reason, Reason::not_found);
  stop();
  start();
  EXPECT_TRUE(prefetches_->list().empty());
}

TEST_F(PrefetchesTest, OnlyTheNewestOfThoseThatAreOverAreKept) {
  kept_ = KeptArtifact{.key = key_, .state = KeptState::complete};
  upstream_error_ = rejected(Reason::forbidden, "that host is not allowed");
  for (std::size_t i = 0; i < Prefetches::kFinishedMax + 5; ++i) add(now());
  loop_.advance(2min);
  EXPECT_EQ(prefetches_->list().size(), Prefetches::kFinishedMax);
  EXPECT_EQ(prefetches_->list().front().id, 6U);
}

TEST_F(PrefetchesTest, ThereIsABound) {
  for (std::size_t i = 0; i < Prefetches::kPrefetchesMax; ++i) add(now() + 24h);
  EXPECT_EQ(loop_.run(prefetches_->add("one more", now(), {})).error().kind, Kind::exhausted);
  EXPECT_EQ(loop_.run(prefetches_->add("", now(), {})).error().reason, Reason::invalid);
}

}  // namespace
}  // namespace postern::gateway
