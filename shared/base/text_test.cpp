#include "shared/base/text.hpp"

namespace postern {
namespace {

TEST(Text, OnlyAsciiLettersChangeTheirCase) {
  EXPECT_EQ(to_lower("ÄB-Zz9"), "Äb-zz9");
}

TEST(Text, KnowsAUuidByItsForm) {
  EXPECT_TRUE(is_uuid("8ac7f6d3-3f52-4f4a-9c4b-2a54d8a0c111"));
  for (const char* text : {"", "8ac7f6d3", "8AC7F6D3-3f52-4f4a-9c4b-2a54d8a0c111",
                           "8ac7f6d3-3f52-4f4a-9c4b-2a54d8a0c1111", "8ac7f6d33f524f4a9c4b2a54d8a0c111----"}) {
    EXPECT_FALSE(is_uuid(text)) << text;
  }
}

}  // namespace
}  // namespace postern
