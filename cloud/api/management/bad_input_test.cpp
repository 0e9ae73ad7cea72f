// What every management route answers to bad input: the test walks all that are registered (management-api
// 0.2, 0.3).
#include "cloud/app_fixture.hpp"

namespace postern::cloud {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kLogin = "/api/management/v1/useradm/auth/login";
constexpr std::string_view kId = "0a31c2d4-5b7e-4c11-9d7a-0e4f6b1c2d3e";

/// Requests whose body is no JSON, or that have none.
bool takes_json(const http::Router::Route& route) {
  static const std::set<std::string, std::less<>> kOthers{
      "POST /api/management/v1/useradm/auth/logout",
      "POST /api/management/v1/deployments/artifacts",
      "POST /api/management/v1/deployments/artifacts/directupload",
      "POST /api/management/v1/deployments/artifacts/generate",
      "POST /api/management/v2/devauth/devices/search",  // takes the bare media type only
                                                         // (management-api 2.2)
  };
  const bool has_body = route.method == "POST" || route.method == "PUT" || route.method == "PATCH";
  return has_body && !kOthers.contains(fmt::format("{} {}", route.method, route.pattern));
}

class BadInputTest : public CloudTest {
 protected:
  BadInputTest() {
    for (const auto& route : app_->router().routes()) {
      if (route.pattern.starts_with("/api/management/")) routes_.push_back(route);
    }
    POSTERN_ASSERT(routes_.size() > 40);
  }

  /// A route's path with `value` for each of its parameters.
  static std::string path_of(const http::Router::Route& route, std::string_view value = kId) {
    std::string path;
    std::string_view rest = route.pattern;
    while (!rest.empty()) {
      const auto open = std::min(rest.find('{'), rest.size());
      path += rest.substr(0, open);
      rest.remove_prefix(open);
      if (rest.empty()) break;
      path += value;
      rest.remove_prefix(rest.find('}') + 1);
    }
    return path;
  }
  Answer ask_as_user(const http::Router::Route& route, std::string target, std::string body,
                     const std::string& content_type = "application/json") {
    const bool is_login = route.pattern == kLogin;
    http::Headers headers = is_login ? basic("admin:correct horse") : bearer(fresh_token());
    headers.set("Content-Type", content_type);
    return ask(route.method, std::move(target), std::move(body), headers);
  }
  /// One that is good whatever the route before did to the last.
  std::string fresh_token() {
    if (ask("GET", "/api/management/v1/useradm/users/me", "", bearer()).status != 200) {
      token_ = ask("POST", std::string(kLogin), "", basic("admin:correct horse")).body;
    }
    return token_;
  }
  /// Asks every route that takes JSON; checks the status and the shape of the answer, and that its text
  /// begins with `error`.
  void each_answers(int status, const std::string& error, const std::string& body,
                    const std::string& content_type = "application/json") {
    for (const auto& route : routes_) {
      if (!takes_json(route)) continue;
      const Answer answer = ask_as_user(route, path_of(route), body, content_type);
      SCOPED_TRACE(fmt::format("{} {}", route.method, route.pattern));
      EXPECT_EQ(answer.status, status) << answer.body;
      if (answer.status == status) expect_error(answer, error);
    }
  }
  static void expect_error(const Answer& answer, const std::string& error) {
    EXPECT_EQ(answer.headers.find("Content-Type"), "application/json; charset=utf-8");
    const json::value body = answer.json();
    EXPECT_THAT(std::string(body.at("error").as_string()), StartsWith(error));
    EXPECT_EQ(std::string(body.at("request_id").as_string()),
              answer.headers.find("X-MEN-RequestID").value_or("none"));
  }

  std::vector<http::Router::Route> routes_;
};

TEST_F(BadInputTest, WithoutATokenNobodyGetsIn) {
  for (const auto& route : routes_) {
    if (route.pattern == kLogin) continue;
    SCOPED_TRACE(fmt::format("{} {}", route.method, route.pattern));
    const Answer answer = ask(route.method, path_of(route), "{}", {});
    EXPECT_EQ(answer.status, 401);
    expect_error(answer, "Authorization not present in header");
    EXPECT_EQ(answer.headers.find("WWW-Authenticate"), "Bearer realm=\"ManagementJWT\"");
  }
}

TEST_F(BadInputTest, WithADevicesTokenNobodyGetsIn) {
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  for (const auto& route : routes_) {
    if (route.pattern == kLogin) continue;
    SCOPED_TRACE(fmt::format("{} {}", route.method, route.pattern));
    expect_error(ask(route.method, path_of(route), "{}", bearer(token)), "invalid jwt");
  }
}

TEST_F(BadInputTest, BodiesAreBounded) {
  each_answers(413, "http: request body too large", std::string((9U << 20) + 1, ' '));
}

TEST_F(BadInputTest, OtherMediaTypesAreRefused) {
  each_answers(415, "Bad Content-Type, expected 'application/json'", "{}", "text/plain");
  each_answers(415, "Bad Content-Type, expected 'application/json'", "{}",
               "application/json5; charset=utf-8");
}

TEST_F(BadInputTest, AContentTypeThatIsNoneIsRefused) {
  each_answers(400, "Invalid value for Content-Type header: ", "{}", ";");
  each_answers(400, "Invalid value for Content-Type header: ", "{}", "application/json; charset");
  each_answers(400, "Invalid value for Content-Type header: ", "{}", "a b/c");
}

TEST_F(BadInputTest, WhatIsNoJsonIsRefused) {
  for (const std::string& body : {std::string("{"), std::string("nil"), std::string("{} {}"),
                                  std::string("{\"a\":\"\x01\"}"), std::string("{\"a\":\"\xff\"}"),
                                  std::string("{\"a\":\"\xed\xa0\x80\"}"), std::string("{\"a\0\":1}", 8),
                                  std::string(100, '[') + std::string(100, ']'), std::string(60'000, '[')}) {
    each_answers(400, "", body);
  }
}

TEST_F(BadInputTest, TheMediaTypeMayHaveParameters) {
  for (const auto& route : routes_) {
    if (!takes_json(route)) continue;
    const Answer answer = ask_as_user(route, path_of(route), "{}", "Application/JSON; charset=\"utf-8\";");
    SCOPED_TRACE(fmt::format("{} {}", route.method, route.pattern));
    EXPECT_NE(answer.status, 415);
    EXPECT_FALSE(answer.body.contains("Content-Type")) << answer.body;
  }
}

TEST_F(BadInputTest, JsonOfAnotherShapeIsNoTroubleOfOurs) {
  for (const char* body :
       {"[]", "1", "\"x\"", "null", "{\"name\":{}}", "[[]]", "{\"devices\":1,\"status\":[]}",
        "{\"email\":[],\"id\":{},\"filters\":1,\"name\":1e400}"}) {
    for (const auto& route : routes_) {
      if (!takes_json(route)) continue;
      SCOPED_TRACE(fmt::format("{} {} {}", route.method, route.pattern, body));
      EXPECT_LT(ask_as_user(route, path_of(route), body).status, 500);
    }
  }
}

TEST_F(BadInputTest, OtherMethodsAreToldWhichThereAre) {
  for (const auto& route : routes_) {
    SCOPED_TRACE(route.pattern);
    const Answer answer = ask("TRACE", path_of(route), "", bearer());
    EXPECT_EQ(answer.status, 405);
    expect_error(answer, "method not allowed");
    EXPECT_THAT(std::string(answer.headers.find("Allow").value_or("")), HasSubstr(route.method));
    const Answer options = ask("OPTIONS", path_of(route), "", {});
    EXPECT_EQ(options.status, 200);
    EXPECT_THAT(std::string(options.headers.find("Allow").value_or("")), HasSubstr(route.method));
  }
}

TEST_F(BadInputTest, OddQueriesAreNoTroubleOfOurs) {
  const std::string many = fmt::format("?id={}", fmt::join(std::vector<std::string>(500, "x"), "&id="));
  for (const std::string& query :
       {std::string("?page=18446744073709551617"), std::string("?=&&==&a"),
        std::string("?id=%00&name=%ff&status=%0a&sort=%27"),
        std::string("?sort=:&search=%25&created_after=1e9&gateway=%ff&type=x&limit=-1"), many}) {
    for (const auto& route : routes_) {
      if (route.method != "GET") continue;
      SCOPED_TRACE(fmt::format("{} {}", route.pattern, query.substr(0, 40)));
      EXPECT_LT(ask_as_user(route, path_of(route) + query, "").status, 500);
    }
  }
}

}  // namespace
}  // namespace postern::cloud
