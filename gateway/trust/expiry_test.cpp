#include "gateway/trust/expiry.hpp"

#include "shared/testing/memory_log.hpp"

namespace postern::gateway {
namespace {

using std::chrono::days;
using std::chrono::hours;

constexpr WallTime kEnd = std::chrono::sys_days(std::chrono::year(2026) / std::chrono::March / 31);

class ExpiryAlarmTest : public ::testing::Test {
 protected:
  void check(WallTime now) { alarm_.check(std::array{deadline_}, now); }

  testing::MemoryLog log_;
  ExpiryAlarm alarm_{log_};
  Deadline deadline_{.which = "server", .subject = "CN=gw", .serial = "01", .at = kEnd};
};

TEST_F(ExpiryAlarmTest, WarnsOnceAtEachStep) {
  std::vector<std::int64_t> warned;
  for (int left = 24 * 40; left >= 0; --left) {
    const auto before = log_.count("gateway.certificate_ends");
    check(kEnd - hours(left));
    if (log_.count("gateway.certificate_ends") > before) warned.push_back(left / 24);
  }
  EXPECT_EQ(warned, (std::vector<std::int64_t>{30, 14, 7, 3, 1}));
  EXPECT_EQ(log_.count("gateway.certificate_expired"), 0U);
}

TEST_F(ExpiryAlarmTest, WarnsOnceWhenItStartsLate) {
  check(kEnd - days(5));
  check(kEnd - days(5));
  EXPECT_EQ(log_.count("gateway.certificate_ends"), 1U);
}

TEST_F(ExpiryAlarmTest, RaisesAnAlarmEachDayAfterTheEnd) {
  for (int hour = 1; hour <= 72; ++hour) check(kEnd + hours(hour));
  EXPECT_EQ(log_.count("gateway.certificate_expired"), 3U);
}

TEST_F(ExpiryAlarmTest, SaysNothingTwiceWhenTheClockIsSetBack) {
  check(kEnd - days(5));
  check(kEnd - days(12));
  check(kEnd - days(5));
  EXPECT_EQ(log_.count("gateway.certificate_ends"), 1U);
}

TEST_F(ExpiryAlarmTest, CallsACrlLateAndNeverSoon) {
  deadline_ = {.kind = Deadline::Kind::crl, .which = "crl", .subject = "CN=CA", .at = kEnd};
  check(kEnd - hours(1));
  EXPECT_TRUE(log_.lines().empty());
  check(kEnd + hours(1));
  check(kEnd + hours(2));
  EXPECT_EQ(log_.count("gateway.crl_stale"), 1U);
}

}  // namespace
}  // namespace postern::gateway
