#include "cloud/inventory/filter.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

namespace postern::cloud {
namespace {

namespace json = boost::json;

bool holds(std::string_view type, std::string_view wanted, std::string_view value) {
  const auto filter = parse_filter(json::parse(
      fmt::format(R"([{{"scope":"inventory","attribute":"a","type":"{}","value":{}}}])", type, wanted)));
  EXPECT_TRUE(filter) << type;
  const json::value held = value.empty() ? json::value() : json::parse(value);
  return matches(*filter, [&](Scope scope, std::string_view name) -> const json::value* {
    return scope == Scope::inventory && name == "a" && !value.empty() ? &held : nullptr;
  });
}

TEST(Filter, NumbersAndStringsAreNeverEqual) {
  EXPECT_TRUE(holds("$eq", "123", "123"));
  EXPECT_TRUE(holds("$eq", "123", "123.0"));
  EXPECT_FALSE(holds("$eq", "123", R"("123")"));
}

TEST(Filter, AListIsEqualWhenAnElementIs) {
  EXPECT_TRUE(holds("$eq", R"("b")", R"(["a","b"])"));
  EXPECT_FALSE(holds("$ne", R"("b")", R"(["a","b"])"));
  EXPECT_TRUE(holds("$in", R"(["x","b"])", R"(["a","b"])"));
  EXPECT_TRUE(holds("$gt", "5", "[1,6]"));
}

TEST(Filter, NegationsMatchWhoLacksTheAttribute) {
  EXPECT_TRUE(holds("$ne", R"("b")", ""));
  EXPECT_TRUE(holds("$nin", R"(["b"])", ""));
  EXPECT_FALSE(holds("$eq", R"("b")", ""));
  EXPECT_FALSE(holds("$lt", R"("b")", ""));
}

TEST(Filter, OrdersWithinAType) {
  EXPECT_TRUE(holds("$gte", R"("b")", R"("b")"));
  EXPECT_TRUE(holds("$lt", "10", "9"));
  EXPECT_FALSE(holds("$lt", R"("10")", "9"));
  EXPECT_TRUE(holds("$lte", "9", "9"));
}

TEST(Filter, PresenceIsAskedForEitherWay) {
  EXPECT_TRUE(holds("$exists", "true", R"("")"));
  EXPECT_FALSE(holds("$exists", "true", ""));
  EXPECT_TRUE(holds("$exists", "false", ""));
}

TEST(Filter, AnExpressionMatchesAnywhereInStrings) {
  EXPECT_TRUE(holds("$regex", R"("e+d")", R"("weed")"));
  EXPECT_FALSE(holds("$regex", R"("^e")", R"("weed")"));
  EXPECT_FALSE(holds("$regex", R"("1")", "1"));
  EXPECT_FALSE(holds("$regex", R"("(")", R"("(")"));
}

TEST(Filter, RefusesWhatItDoesNotUnderstand) {
  for (const char* terms : {
           R"({})",
           R"([1])",
           R"([{"scope":"nobody","attribute":"a","type":"$eq","value":1}])",
           R"([{"scope":"tags","type":"$eq","value":1}])",
           R"([{"scope":"tags","attribute":"a","value":1}])",
           R"([{"scope":"tags","attribute":"a","type":"$ltne","value":1}])",
           R"([{"scope":"tags","attribute":"a","type":"$eq"}])",
           R"([{"scope":"tags","attribute":"a","type":"$eq","value":{}}])",
           R"([{"scope":"tags","attribute":"a","type":"$in","value":1}])",
           R"([{"scope":"tags","attribute":"a","type":"$exists","value":1}])",
           R"([{"scope":"tags","attribute":"a","type":"$regex","value":1}])",
           R"([{"scope":"tags","attribute":"a","type":"$gt","value":[1]}])",
       }) {
    const auto filter = parse_filter(json::parse(terms));
    ASSERT_FALSE(filter) << terms;
    EXPECT_EQ(filter.error().reason, Reason::invalid);
  }
}

TEST(Filter, IsWrittenAsItWasRead) {
  const json::value terms = json::parse(R"([{"scope":"tags","attribute":"a","type":"$in","value":["x",1]}])");
  EXPECT_EQ(json::value(to_json(*parse_filter(terms))), terms);
}

TEST(Filter, ValuesAreOrderedForSorting) {
  const json::value one(1);
  const json::value text("a");
  const json::value list{"0", "z"};
  EXPECT_TRUE(compare_values(nullptr, &one) < 0);
  EXPECT_TRUE(compare_values(&one, &text) < 0);
  EXPECT_TRUE(compare_values(&list, &text) < 0);
  EXPECT_TRUE(compare_values(&text, &text) == 0);
}

}  // namespace
}  // namespace postern::cloud
