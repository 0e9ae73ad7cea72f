#include "device/server/answer.hpp"

namespace postern::device {
namespace {

using namespace std::chrono_literals;

TEST(AnswerError, CarriesTheServersWords) {
  const Error error =
      error_of("report status", {409, {}, R"({"error":"Deployment aborted","request_id":"x"})"});
  EXPECT_EQ(error.what, "report status: the server answered 409: Deployment aborted");
  EXPECT_EQ(error.reason, Reason::conflict);
}

TEST(AnswerError, NamesTheStatusWhenThereAreNoWords) {
  for (const std::string body : {"", "<html>", "[]", R"({"error":1})", R"({"error":""})"}) {
    EXPECT_EQ(error_of("poll", {404, {}, body}).what, "poll: the server answered 404: Not Found") << body;
  }
}

TEST(AnswerError, ToldApartByWhoHasToAct) {
  EXPECT_EQ(error_of("x", {500, {}, ""}).kind, Kind::transient);
  EXPECT_EQ(error_of("x", {503, {}, ""}).kind, Kind::transient);
  EXPECT_EQ(error_of("x", {429, {}, ""}).kind, Kind::transient);
  EXPECT_EQ(error_of("x", {200, {}, ""}).kind, Kind::rejected);
  EXPECT_EQ(error_of("x", {401, {}, ""}).reason, Reason::unauthorized);
  EXPECT_EQ(error_of("x", {413, {}, ""}).reason, Reason::too_large);
  EXPECT_TRUE(error_of("x", {302, {}, ""}).what.contains("redirects are not followed"));
}

class RetryAfterTest : public ::testing::Test {
 protected:
  const WallTime now_ = *from_rfc3339("2026-01-02T03:04:05Z");
};

TEST_F(RetryAfterTest, IsANumberOfSeconds) {
  EXPECT_EQ(parse_retry_after("17", now_), 17s);
}

TEST_F(RetryAfterTest, IsADate) {
  EXPECT_EQ(parse_retry_after("Fri, 02 Jan 2026 03:05:05 GMT", now_), 60s);
}

TEST_F(RetryAfterTest, IsCutToADay) {
  EXPECT_EQ(parse_retry_after("9223372037", now_), 24h);
  EXPECT_EQ(parse_retry_after("99999999999999999999999", now_), 24h);
  EXPECT_EQ(parse_retry_after("Fri, 02 Jan 9999 03:05:05 GMT", now_), 24h);
}

TEST_F(RetryAfterTest, IsNothingWhenItAsksForNoWait) {
  EXPECT_EQ(parse_retry_after("0", now_), std::nullopt);
  EXPECT_EQ(parse_retry_after("Fri, 02 Jan 2026 03:04:05 GMT", now_), std::nullopt);
}

TEST_F(RetryAfterTest, IsNothingWhenItCannotBeRead) {
  for (const std::string_view bad :
       {"", " ", "-1", "1.5", "soon", "Fri, 02 Xxx 2026 03:05:05 GMT", "Fri, 31 Feb 2026 03:05:05 GMT",
        "Fri, 02 Jan 2026 25:05:05 GMT", "Fri, 02 anF 2026 03:05:05 GMT", "Friday, 02-Jan-26 03:05:05 GMT"}) {
    EXPECT_EQ(parse_retry_after(bad, now_), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace postern::device
