#include "gateway/traffic/limited_body.hpp"

#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

/// Lends all it has but the first piece, which next() gives.
class Stock final : public http::Body {
 public:
  explicit Stock(std::size_t size, std::size_t first) : bytes_(size), first_(first) {}
  std::optional<std::uint64_t> length() const override { return bytes_.size(); }
  net::awaitable<Result<Bytes>> next() override { co_return take(first_); }
  Result<std::size_t> lend(std::size_t size_max, const TakeBytes& taker) override {
    if (at_ == 0) return std::size_t{0};
    const Bytes bytes = take(size_max);
    if (!bytes.empty()) taker(bytes);
    return bytes.size();
  }

 private:
  Bytes take(std::size_t size_max) {
    const std::size_t size = std::min(size_max, bytes_.size() - at_);
    at_ += size;
    return Bytes(bytes_).subspan(at_ - size, size);
  }
  std::vector<std::byte> bytes_;
  const std::size_t first_;
  std::size_t at_ = 0;
};

class LimitedBodyTest : public ::testing::Test {
 protected:
  struct Moved {
    std::uint64_t bytes = 0;
    std::uint64_t lent = 0;
  };

  /// Pulls as a connection does: what can be lent, and else the next piece.
  net::awaitable<Result<Moved>> pull(http::Body& body) {
    Moved moved;
    for (;;) {
      POSTERN_CO_TRY(const std::size_t lent, body.lend(256 << 10, [](Bytes) {}));
      moved.bytes += lent;
      moved.lent += lent;
      if (lent > 0) continue;
      POSTERN_CO_TRY(const Bytes piece, co_await body.next());
      moved.bytes += piece.size();
      if (piece.empty()) co_return moved;
    }
  }

  Moved pull_at(std::string_view rate, std::size_t size, std::size_t first) {
    Limiter limiter(Calendar::parse(rate).value(), loop_.clock(), log_, loop_.executor());
    const SteadyTime begin = loop_.clock().now();
    Moved moved;
    {
      LimitedBody body(std::make_unique<Stock>(size, first), limiter, admission_.begin_download(true));
      EXPECT_EQ(admission_.downloads(), 1U);
      moved = loop_.run(pull(body)).value();
    }
    EXPECT_EQ(admission_.downloads(), 0U);
    took_ = loop_.clock().now() - begin;
    EXPECT_EQ(limiter.counters(Traffic::bulk).granted_bytes, size);
    EXPECT_TRUE(loop_.run(limiter.stop()));
    return moved;
  }

  NullLog log_;
  testing::Loop loop_;
  Admission admission_{10, loop_.clock()};
  Duration took_{};
};

TEST_F(LimitedBodyTest, LendsAllThatCanBeLentWhileTheLinkIsUnlimited) {
  const Moved moved = pull_at("", 10'000'000, 16'384);
  EXPECT_EQ(moved.bytes, 10'000'000U);
  EXPECT_EQ(moved.lent, 10'000'000U - 16'384U);
  EXPECT_EQ(took_, 0s);
}

TEST_F(LimitedBodyTest, KeepsTheRateAndLendsTheRestOfEachGrant) {
  const Moved moved = pull_at("8 Mbit/s", 10'000'000, 16'384);
  EXPECT_EQ(moved.bytes, 10'000'000U);
  EXPECT_GE(moved.lent, 7'000'000U);
  EXPECT_NEAR(std::chrono::duration<double>(took_).count(), 10, 0.2);
}

TEST_F(LimitedBodyTest, CutsLargePiecesIntoGrants) {
  const Moved moved = pull_at("8 Mbit/s", 3'000'000, 1 << 20);
  EXPECT_EQ(moved.bytes, 3'000'000U);
  EXPECT_NEAR(std::chrono::duration<double>(took_).count(), 3, 0.2);
}

}  // namespace
}  // namespace postern::gateway
