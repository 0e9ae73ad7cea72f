#include "shared/http/range.hpp"

namespace postern::http {
namespace {

std::string answer(std::string_view field, std::uint64_t total) {
  const auto request = parse_range(field, total);
  return request.range ? request.range->content_range(total) : "none";
}

TEST(Range, ReadsTheFormsThatClientsSend) {
  EXPECT_EQ(answer("bytes=10-", 100), "bytes 10-99/100");
  EXPECT_EQ(answer("bytes=10-19", 100), "bytes 10-19/100");
  EXPECT_EQ(answer("bytes=10-1000", 100), "bytes 10-99/100");
  EXPECT_EQ(answer("bytes=-5", 100), "bytes 95-99/100");
  EXPECT_EQ(answer("bytes=-500", 100), "bytes 0-99/100");
  EXPECT_EQ(answer("bytes=0-0", 100), "bytes 0-0/100");
}

TEST(Range, CountsWhatCannotBeSatisfiedAsPresent) {
  for (const char* field : {"bytes=100-", "bytes=5-4", "bytes=", "bytes=-", "bytes=-0", "bytes=a-b",
                            "bytes=1-2,4-5", "lines=1-2", "bytes=1-x", "bytes=99999999999999999999-"}) {
    EXPECT_TRUE(parse_range(field, 100).present) << field;
    EXPECT_EQ(answer(field, 100), "none") << field;
  }
  EXPECT_FALSE(parse_range(std::nullopt, 100).present);
}

TEST(ContentRange, IsReadOnlyWithEveryPartThere) {
  const auto found = parse_content_range("bytes 5-9/100");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->range.first, 5U);
  EXPECT_EQ(found->range.last, 9U);
  EXPECT_EQ(found->total, 100U);
  for (const std::string_view text :
       {"", "bytes", "bytes 5-9", "bytes 5-9/*", "bytes */100", "bytes 9-5/100", "bytes 5-100/100",
        "bytes 5-9/100 ", "items 5-9/100", "bytes 5/9-100"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
}

}  // namespace
}  // namespace postern::http
