#include "gateway/relay/rules.hpp"

namespace postern::gateway {
namespace {

http::Request request_with(http::Headers headers) {
  http::Request request;
  request.method = "GET";
  request.headers = std::move(headers);
  request.id = "r-1";
  return request;
}

http::Response response_with(int status, std::string body = "", http::Headers headers = {}) {
  http::Response response;
  response.status = status;
  response.headers = std::move(headers);
  response.body = std::make_unique<http::TextBody>(std::move(body));
  return response;
}

http::Response digestible(http::Response response, std::string agent, bool is_poll = false) {
  return make_digestible(std::move(response), request_with({{"User-Agent", std::move(agent)}}), is_poll);
}

TEST(HeadersForUpstream, LeaveOutWhatBelongsToTheConnection) {
  const auto headers = headers_for_upstream(request_with({{"Host", "gateway"},
                                                          {"Connection", "close, X-Private"},
                                                          {"X-Private", "1"},
                                                          {"Transfer-Encoding", "chunked"},
                                                          {"Accept-Encoding", "gzip"},
                                                          {"X-Forwarded-Host", "gateway"},
                                                          {"Authorization", "Bearer t"},
                                                          {"X-MEN-Signature", "s"}}));
  std::vector<std::string> names;
  for (const auto& field : headers) names.push_back(field.name);
  EXPECT_THAT(names, ::testing::ElementsAre("Authorization", "X-MEN-Signature", "X-MEN-RequestID"));
}

TEST(Digestible, TakesTheBodyFromA401) {
  const auto response =
      digestible(response_with(401, "{}", {{"WWW-Authenticate", "Bearer"}}), "Mender/5.1.0");
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.body, nullptr);
}

TEST(Digestible, TurnsTheFirstAnswerToAnExpiredTokenInto401) {
  EXPECT_EQ(digestible(response_with(403), "x").status, 401);
  EXPECT_EQ(digestible(response_with(403, R"({"error":"operation requires addon"})"), "x").status, 403);
}

TEST(Digestible, TellsTooManyRequestsOnlyToThoseWhoWait) {
  const auto too_many = [] { return response_with(429, "{}", {{"retry-after", "17"}}); };
  const auto response = digestible(too_many(), "Mender/5.1.0", true);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.begin()->name, "Retry-After");
  EXPECT_EQ(digestible(too_many(), "Mender/1.0 MCU Zephyr/3", true).status, 429);
  EXPECT_EQ(digestible(too_many(), "Mender/5.0.5", true).status, 204);
  EXPECT_EQ(digestible(too_many(), "Go-http-client/1.1", true).status, 204);
  EXPECT_EQ(digestible(too_many(), "Go-http-client/1.1", false).status, 500);
}

TEST(Digestible, DropsADelayThatKillsAClient) {
  const auto response =
      digestible(response_with(429, "{}", {{"Retry-After", "99999999999"}}), "Mender/5.1.0");
  EXPECT_FALSE(response.headers.find("Retry-After"));
}

TEST(Digestible, TurnsStatusesThatNoClientUnderstandsInto500) {
  for (const int status : {413, 502, 503, 504, 507})
    EXPECT_EQ(digestible(response_with(status), "x").status, 500);
  for (const int status : {200, 204, 400, 404, 409})
    EXPECT_EQ(digestible(response_with(status), "x").status, status);
}

}  // namespace
}  // namespace postern::gateway
