#include "shared/device_api/identity.hpp"

#include <random>

#include <boost/json/parse.hpp>

namespace postern {
namespace {

std::string canonical(std::string_view id_data) {
  const auto identity = parse_identity(id_data);
  return identity ? identity->canonical : "error: " + identity.error().what;
}

TEST(Identity, HasTheHashesOfTheSpecification) {
  const auto mac = parse_identity(R"({ "mac" : "52:54:00:12:34:56" })");
  ASSERT_TRUE(mac);
  EXPECT_EQ(mac->canonical, R"({"mac":"52:54:00:12:34:56"})");
  EXPECT_EQ(to_hex(mac->hash), "d95352acde02b8dfa46c5724e7e66e1b86fd0f09aa23b9e236ce2c86a59b4377");
  const auto html = parse_identity(R"({"b":1,"a":"x<y>&z"})");
  ASSERT_TRUE(html);
  EXPECT_EQ(html->canonical, R"({"a":"x\u003cy\u003e\u0026z","b":1})");
  EXPECT_EQ(to_hex(html->hash), "a06184cdb37f33c1373afdda99a29580e871adb17a762f989f72e19af5bf57f0");
}

TEST(Identity, IsTheSameHoweverItIsSpelled) {
  for (const char* spelling :
       {R"({"a":[1,{"x":2,"y":"A"}],"b":null})", R"( {"b" : null,"a":[ 1.0 ,{"y":"\u0041","x":2e0}]}  )",
        R"({"a":"first","b":null,"a":[10e-1,{"y":"A","x":3,"x":2.00}]})"}) {
    EXPECT_EQ(canonical(spelling), R"({"a":[1,{"x":2,"y":"A"}],"b":null})") << spelling;
  }
}

TEST(Identity, TakesTheLastOfEqualNamesWhole) {
  EXPECT_EQ(canonical(R"({"a":{"x":1},"\u0061":{"y":2}})"), R"({"a":{"y":2}})");
}

TEST(Identity, PassesNumbersThroughADouble) {
  EXPECT_EQ(canonical(R"({"a":[12345678901234567890,9007199254740993,-0,0.1,1e21,1e-7,1E+2]})"),
            R"({"a":[12345678901234567000,9007199254740992,-0,0.1,1e+21,1e-7,100]})");
  EXPECT_EQ(canonical(R"({"a":2.2250738585072011e-308})"), R"({"a":2.225073858507201e-308})");
  EXPECT_EQ(canonical(R"({"a":179769313486231580793e289})"),
            "error: identity data: a number that no double holds");
  EXPECT_EQ(canonical(R"({"a":1e999})"), "error: identity data: a number that no double holds");
}

TEST(Identity, ReadsEveryEscape) {
  EXPECT_EQ(canonical(R"({"a":"\"\\\/\b\f\n\r\t\u00e9\u2028\ud83d\ude00"})"),
            "{\"a\":\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\xC3\xA9\\u2028\xF0\x9F\x98\x80\"}");
}

TEST(Identity, ReplacesHalvesOfSurrogatePairs) {
  EXPECT_EQ(canonical(R"({"a":"\ud83dx"})"), "{\"a\":\"\xEF\xBF\xBDx\"}");
  EXPECT_EQ(canonical(R"({"a":"\ude00"})"), "{\"a\":\"\xEF\xBF\xBD\"}");
  EXPECT_EQ(canonical(R"({"a":"\ud83d\ud83d\ude00"})"), "{\"a\":\"\xEF\xBF\xBD\xF0\x9F\x98\x80\"}");
  EXPECT_EQ(canonical(R"({"a":"\ud83d\u0041"})"),
            "{\"a\":\"\xEF\xBF\xBD"
            "A\"}");
}

TEST(Identity, ReplacesBytesThatAreNoUtf8) {
  EXPECT_EQ(canonical("{\"a\xFF\":\"\xC3(\"}"), "{\"a\xEF\xBF\xBD\":\"\xEF\xBF\xBD(\"}");
}

TEST(Identity, SortsNamesByBytes) {
  EXPECT_EQ(canonical(R"({"b":1,"B":2,"a":3,"":4,"aa":5,"é":6})"),
            R"({"":4,"B":2,"a":3,"aa":5,"b":1,"é":6})");
}

TEST(Identity, GivesTheAttributesForTheInventory) {
  const auto identity = parse_identity(R"({"mac":"x","n":7,"half":0.5,"list":["a"]})");
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->attributes,
            (boost::json::object{{"mac", "x"}, {"n", 7}, {"half", 0.5}, {"list", boost::json::array{"a"}}}));
}

TEST(Identity, RefusesWhatIsNoJsonObject) {
  for (const char* text : {"",
                           " ",
                           "null",
                           "[]",
                           "\"a\"",
                           "1",
                           "{",
                           "}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{\"a\":1}x",
                           "{\"a\":1}{}",
                           "{a:1}",
                           "{\"a\":01}",
                           "{\"a\":1.}",
                           "{\"a\":.5}",
                           "{\"a\":+1}",
                           "{\"a\":1e}",
                           "{\"a\":-}",
                           "{\"a\":[1,]}",
                           "{\"a\":[1}",
                           "{\"a\":\"x}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\u12g4\"}",
                           "{\"a\":\"\\u12",
                           "{\"a\":\"\\",
                           "{\"a\":tru}",
                           "{\"a\":nan}",
                           "{\"a\":\"\\u-123\"}",
                           "{\"a\" 1}",
                           "{1:1}"}) {
    const auto identity = parse_identity(text);
    ASSERT_FALSE(identity) << text;
    EXPECT_EQ(identity.error().reason, Reason::invalid) << text;
  }
}

TEST(Identity, BoundsSizeAndDepth) {
  const auto nested = [](int depth) {
    return R"({"a":)" + std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']') + "}";
  };
  EXPECT_TRUE(parse_identity(nested(kIdentityDepthMax - 1)));
  EXPECT_FALSE(parse_identity(nested(kIdentityDepthMax)));
  const auto too_large = parse_identity(std::string(kIdentityBytesMax + 1, '{'));
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().reason, Reason::too_large);
  EXPECT_FALSE(parse_identity(std::string(kIdentityBytesMax, '[')));
}

/// Whatever is accepted is its own canonical form, and is JSON to another parser.
TEST(Identity, IsStableOnRandomlyDamagedInput) {
  const std::string sound =
      R"({"mac":"52:54:00:12","n":[1.5e3,-0.25,true,null],"o":{"k":"\u00e9\ud83d\ude00<"}})";
  std::mt19937 engine(1);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = sound;
    for (std::size_t changes = 1 + engine() % 3; changes > 0; --changes) {
      text[engine() % text.size()] = static_cast<char>(engine() % 256);
    }
    const auto identity = parse_identity(text);
    if (!identity) continue;
    ++accepted;
    ASSERT_EQ(canonical(identity->canonical), identity->canonical) << text;
    boost::json::error_code error;
    boost::json::parse(identity->canonical, error);
    ASSERT_FALSE(error) << identity->canonical;
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace postern
