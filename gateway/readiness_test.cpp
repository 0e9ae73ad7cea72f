#include "gateway/readiness.hpp"

#include "gateway/store/tables.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/loop.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// A database whose commits take as long as the test wants.
class SlowDatabase final : public Database {
 public:
  SlowDatabase(Clock& clock, Database& lower) : clock_(clock), lower_(lower) {}

  Status read(const ReadClosure& fn) override { return lower_.read(fn); }
  net::awaitable<Status> write(WriteClosure fn) override {
    if (takes > 0s) POSTERN_CO_CHECK(co_await clock_.sleep(takes));
    co_return co_await lower_.write(std::move(fn));
  }
  DatabaseStats stats() const override { return lower_.stats(); }

  Duration takes{};

 private:
  Clock& clock_;
  Database& lower_;
};

class ReadinessTest : public ::testing::Test {
 protected:
  ReadinessTest() {
    loops_.start();
    loop_.settle();
    readiness_.add("state_store", Need::needed, [this] { return probe_.check(); });
    readiness_.add("upstream", Need::useful, [this]() -> net::awaitable<Status> { co_return upstream_; });
    readiness_.add_routes(router_);
  }
  ~ReadinessTest() override {
    EXPECT_TRUE(loop_.run(probe_.stop()));
    EXPECT_TRUE(loop_.run(loops_.stop()));
  }

  struct Answer {
    int status = 0;
    std::string body;
  };
  Answer get(std::string path) {
    return loop_.run([](http::Router& router, std::string at) -> net::awaitable<Answer> {
      http::Request request;
      request.method = "GET";
      request.target = at;
      request.path = at;
      request.body = std::make_unique<http::TextBody>("");
      http::Response response = co_await router.serve(request);
      const auto body = co_await http::read_all(*response.body, 1 << 20);
      co_return Answer{.status = response.status, .body = body.value_or("")};
    }(router_, std::move(path)));
  }

  testing::Loop loop_;
  NullLog log_;
  MemoryDatabase memory_{{kTables.begin(), kTables.end()}};
  SlowDatabase database_{loop_.clock(), memory_};
  LoopMonitor loops_{loop_.clock(), log_, {loop_.executor()}};
  StoreProbe probe_{database_, loop_.clock(), log_, loop_.executor()};
  Status upstream_;
  Readiness readiness_{loops_};
  http::Router router_;
};

TEST_F(ReadinessTest, IsReadyWhenEverythingThatIsNeededIsGood) {
  EXPECT_EQ(get("/healthz").status, 200);
  const Answer ready = get("/readyz");
  EXPECT_EQ(ready.status, 200) << ready.body;
  EXPECT_THAT(ready.body, HasSubstr(R"("ready":true)"));
}

TEST_F(ReadinessTest, AnUpstreamThatIsDownIsToldAndNoReason) {
  upstream_ = transient("no route to host");
  const Answer ready = get("/readyz");
  EXPECT_EQ(ready.status, 200);
  EXPECT_THAT(ready.body, HasSubstr("no route to host"));
}

TEST_F(ReadinessTest, AStateThatCannotBeWrittenIsToldUntilItCan) {
  memory_.fail_commit(1, CommitFault::exhausted);
  EXPECT_EQ(get("/readyz").status, 503);
  EXPECT_EQ(get("/readyz").status, 503) << "it is not written to for every question";
  EXPECT_EQ(memory_.stats().writes, 0U);
  loop_.advance(StoreProbe::kFresh);
  EXPECT_EQ(get("/readyz").status, 200);
}

TEST_F(ReadinessTest, AWriteThatHangsIsNotWaitedForForEver) {
  database_.takes = 60s;
  const SteadyTime begun = loop_.clock().now();
  const Answer hung = get("/readyz");
  EXPECT_EQ(hung.status, 503);
  EXPECT_THAT(hung.body, HasSubstr("under way for 5 s"));
  EXPECT_EQ(loop_.clock().now() - begun, StoreProbe::kWriteMax);
  EXPECT_EQ(get("/readyz").status, 503) << "the same write is still under way";
  loop_.advance(60s);
  database_.takes = 0s;
  EXPECT_EQ(get("/readyz").status, 200);
}

}  // namespace
}  // namespace postern::gateway
