#include "shared/http/router.hpp"

#include "shared/testing/loop.hpp"

namespace postern::http {
namespace {

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    for (const char* pattern : {"/d/next", "/d/{id}/status", "/d/{id}", "/d/{id}/auth/{aid}"}) {
      router_.add("GET", pattern, [pattern](Request& request) { return describe(pattern, request); });
    }
  }
  static net::awaitable<Response> describe(std::string pattern, Request& request) {
    for (const auto& [name, value] : request.parameters) pattern += " " + name + "=" + value;
    co_return Response::text(200, "text/plain", pattern);
  }
  std::string get(std::string path, std::string method = "GET") {
    Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.id = "r1";
    Response response = loop_.run(router_.serve(request));
    const std::string allow(response.headers.find("Allow").value_or(""));
    const std::string body = response.body ? *loop_.run(read_all(*response.body, 1000)) : "";
    return fmt::format("{} {}{}", response.status, body, allow);
  }

  testing::Loop loop_;
  Router router_;
};

TEST_F(RouterTest, PrefersLiteralsAndDecodesParameters) {
  EXPECT_EQ(get("/d/next"), "200 /d/next");
  EXPECT_EQ(get("/d/7f%2Fx/status"), "200 /d/{id}/status id=7f/x");
  EXPECT_EQ(get("/d/a/auth/b"), "200 /d/{id}/auth/{aid} id=a aid=b");
}

TEST_F(RouterTest, AnswersUnknownPathsMethodsAndOptions) {
  EXPECT_EQ(get("/x"), R"(404 {"error":"not found","request_id":"r1"})");
  EXPECT_EQ(get("/d//status"), R"(404 {"error":"not found","request_id":"r1"})");
  EXPECT_EQ(get("/d/next/"), R"(404 {"error":"not found","request_id":"r1"})");
  EXPECT_EQ(get("/d/next", "DELETE"), R"(405 {"error":"method not allowed","request_id":"r1"}GET, OPTIONS)");
  EXPECT_EQ(get("/d/next", "OPTIONS"), "200 GET, OPTIONS");
  EXPECT_EQ(get("/d/%zz"), R"(400 {"error":"malformed percent-encoding","request_id":"r1"})");
}

TEST_F(RouterTest, ServesHeadWhereGetIsServed) {
  EXPECT_EQ(get("/d/next", "HEAD"), "200 /d/next");
}

TEST(Router, TellsItsRoutesInTheirOrder) {
  Router router;
  const Handler handler = [](Request&) -> net::awaitable<Response> { co_return Response::empty(204); };
  router.add("PUT", "/b/{id}", handler);
  router.add("GET", "/a", handler);
  ASSERT_EQ(router.routes().size(), 2U);
  EXPECT_EQ(router.routes().at(0).method, "PUT");
  EXPECT_EQ(router.routes().at(0).pattern, "/b/{id}");
}

}  // namespace
}  // namespace postern::http
