#include "shared/device_api/go_json.hpp"

#include <limits>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace postern {
namespace {

std::string number(double value) {
  std::string out;
  detail::append_go_number(out, value);
  return out;
}

std::string text(std::string_view value) {
  std::string out;
  detail::append_go_string(out, value);
  return out;
}

TEST(GoJson, SortsMembersByBytesAtEveryLevel) {
  const boost::json::value value{
      {"b", 1}, {"a", {{"z", nullptr}, {"B", true}, {"\xC3\xA9", false}}}, {"", {1, 2}}};
  EXPECT_EQ(go_json(value), "{\"\":[1,2],\"a\":{\"B\":true,\"z\":null,\"\xC3\xA9\":false},\"b\":1}");
}

TEST(GoJson, WritesEmptyContainers) {
  EXPECT_EQ(go_json(boost::json::array()), "[]");
  EXPECT_EQ(go_json(boost::json::object()), "{}");
}

TEST(GoJson, KeepsIntegersExact) {
  EXPECT_EQ(go_json(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(go_json(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
}

TEST(GoJson, WritesNullForWhatIsNoNumber) {
  EXPECT_EQ(go_json(std::numeric_limits<double>::infinity()), "null");
}

TEST(GoNumber, IsTheShortestThatReadsBackTheSame) {
  EXPECT_EQ(number(0), "0");
  EXPECT_EQ(number(-0.0), "-0");
  EXPECT_EQ(number(1), "1");
  EXPECT_EQ(number(-1.5), "-1.5");
  EXPECT_EQ(number(0.1), "0.1");
  EXPECT_EQ(number(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(number(100), "100");
  EXPECT_EQ(number(123456.75), "123456.75");
  EXPECT_EQ(number(9007199254740993.0), "9007199254740992");
}

TEST(GoNumber, FillsUpWithZerosBelow1e21) {
  EXPECT_EQ(number(123456789012345678901.0), "123456789012345680000");
  EXPECT_EQ(number(1e20), "100000000000000000000");
  EXPECT_EQ(number(999999999999999900000.0), "999999999999999900000");
}

TEST(GoNumber, HasAnExponentOutsideOfThePlainRange) {
  EXPECT_EQ(number(1e21), "1e+21");
  EXPECT_EQ(number(-1.25e30), "-1.25e+30");
  EXPECT_EQ(number(1e-6), "0.000001");
  EXPECT_EQ(number(1e-7), "1e-7");
  EXPECT_EQ(number(1.5e-10), "1.5e-10");
  EXPECT_EQ(number(5e-324), "5e-324");
  EXPECT_EQ(number(1.7976931348623157e308), "1.7976931348623157e+308");
}

TEST(GoString, EscapesWhatHtmlAndJavascriptTrip) {
  EXPECT_EQ(text("<a>&\xE2\x80\xA8\xE2\x80\xA9"), R"("\u003ca\u003e\u0026\u2028\u2029")");
}

TEST(GoString, EscapesControlCharactersAsGoDoesBefore122) {
  EXPECT_EQ(text("\n\r\t\b\f\x01\x1f\"\\/\x7f"), "\"\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\\\"\\\\/\x7f\"");
  EXPECT_EQ(text(std::string_view("\0", 1)), R"("\u0000")");
}

TEST(GoString, ReplacesEachByteThatIsNoUtf8) {
  EXPECT_EQ(text("a\xFF"
                 "b"),
            R"("a\ufffdb")");
  EXPECT_EQ(text("\xC3"), R"("\ufffd")") << "cut short";
  EXPECT_EQ(text("\xC0\x80"), R"("\ufffd\ufffd")") << "overlong";
  EXPECT_EQ(text("\xED\xA0\x80"), R"("\ufffd\ufffd\ufffd")") << "a surrogate";
  EXPECT_EQ(text("\xF4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")") << "beyond Unicode";
  EXPECT_EQ(text("\xF0\x9F\x98\x80\xEF\xBF\xBD"), "\"\xF0\x9F\x98\x80\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace postern
