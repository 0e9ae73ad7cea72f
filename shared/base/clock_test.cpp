#include "shared/base/clock.hpp"

namespace postern {
namespace {

TEST(Rfc3339, WritesMillisecondsInUtc) {
  EXPECT_EQ(to_rfc3339(WallTime(std::chrono::milliseconds(1767323045678))), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(to_rfc3339(WallTime()), "1970-01-01T00:00:00.000Z");
}

TEST(Rfc3339, ReadsWhatClientsWrite) {
  const auto expected = WallTime(std::chrono::milliseconds(1767323045000));
  for (const char* text :
       {"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000000Z", "2026-01-02T05:04:05+02:00",
        "2026-01-01T22:04:05-05:00", "2026-01-02 03:04:05Z"}) {
    const auto time = from_rfc3339(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(*time, expected) << text;
  }
}

TEST(Rfc3339, TakesACommaBeforeTheFractionAsMicrocontrollersWriteIt) {
  EXPECT_EQ(*from_rfc3339("1970-01-01T00:39:06,746000Z"), WallTime(std::chrono::milliseconds(2346746)));
}

TEST(Rfc3339, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-02T25:00:00Z",
        "2026-01-02T03:04:05", "2026-01-02T03:04:05Zjunk", "2026-01-02T03:04:05+25:00"}) {
    EXPECT_FALSE(from_rfc3339(text)) << text;
  }
}

}  // namespace
}  // namespace postern
