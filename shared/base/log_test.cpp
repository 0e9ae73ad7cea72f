#include "shared/base/log.hpp"

namespace postern {
namespace {

TEST(Logfmt, QuotesOnlyWhereItMust) {
  EXPECT_EQ(to_logfmt("http.served",
                      {{"request", "c91e"}, {"error", "reset by peer"}, {"took_ms", 12}, {"ok", true}}),
            R"(http.served request=c91e error="reset by peer" took_ms=12 ok=true)");
}

TEST(Logfmt, KeepsOneEventOnOneLineWhateverAPeerSends) {
  EXPECT_EQ(to_logfmt("device.named", {{"name", "a\nlevel=error \"x\"\x01"}}),
            R"(device.named name="a\nlevel=error \"x\"\u0001")");
}

TEST(LogLevel, IsReadFromItsName) {
  EXPECT_EQ(*parse_log_level("warning"), LogLevel::warn);
  EXPECT_FALSE(parse_log_level("loud"));
}

}  // namespace
}  // namespace postern
