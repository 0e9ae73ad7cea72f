#include "shared/http/message.hpp"

#include "shared/testing/loop.hpp"

namespace postern::http {
namespace {

TEST(Headers, FindsNamesWhateverTheirLetterCase) {
  Headers headers{{"HOST", "a"}, {"X-Men-Signature", "s"}, {"host", "b"}};
  EXPECT_EQ(headers.find("Host"), "a");
  EXPECT_EQ(headers.find_all("Host").size(), 2U);
  EXPECT_EQ(headers.find("X-MEN-Signature"), "s");
  EXPECT_EQ(headers.find("Absent"), std::nullopt);
  headers.set("Host", "c");
  EXPECT_EQ(headers.find_all("host"), std::vector<std::string_view>{"c"});
}

TEST(ReadAll, HasABound) {
  testing::Loop loop;
  TextBody body("12345");
  EXPECT_EQ(loop.run(read_all(body, 4)).error().reason, Reason::too_large);
  TextBody fits("12345");
  EXPECT_EQ(*loop.run(read_all(fits, 5)), "12345");
}

}  // namespace
}  // namespace postern::http
