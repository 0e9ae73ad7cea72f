#include "cloud/cli/api_client.hpp"

#include "cloud/cli/scripted_server.hpp"
#include "shared/testing/certificates.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ApiClientTest : public ScriptedServerTest {
 protected:
  Error error_of_get(const std::string& path = "x") { return loop_.run(api_.get(path)).error(); }
  Result<ApiClient> client_for(std::string server, std::string token = "t") {
    return ApiClient::make(*client_, {.server = std::move(server), .ca = {}, .token = std::move(token)});
  }
};

TEST_F(ApiClientTest, TakesAServersAddressOnly) {
  EXPECT_TRUE(client_for("https://cloud.example:8443"));
  EXPECT_EQ(client_for("").error().reason, Reason::invalid);
  EXPECT_FALSE(client_for("https://cloud.example/ui"));
  EXPECT_FALSE(client_for("https://user@cloud.example"));
}

TEST_F(ApiClientTest, SendsNoPasswordInTheClearToAnotherMachine) {
  EXPECT_THAT(client_for("http://cloud.example").error().what, HasSubstr("https only"));
  EXPECT_TRUE(client_for("http://127.0.0.1:8080"));
}

TEST_F(ApiClientTest, LogsInWithBasicAndReturnsTheBareToken) {
  answers_.push_back({200, "token", {}});
  const auto token = loop_.run(api_.log_in("admin", "secret:word"));
  EXPECT_EQ(*token, "\"token\"");
  EXPECT_THAT(requests_, ElementsAre("POST /api/management/v1/useradm/auth/login"));
  EXPECT_THAT(authorizations_, ElementsAre("Basic " + to_base64(as_bytes("admin:secret:word"))));
}

TEST_F(ApiClientTest, SaysThatNameOrPasswordIsWrong) {
  will_answer(401, {{"error", "unauthorized"}});
  EXPECT_EQ(loop_.run(api_.log_in("admin", "x")).error().what,
            "http://localhost does not know this name with this password");
}

TEST_F(ApiClientTest, AsksForALoginWithoutAskingTheServer) {
  auto anonymous = *client_for("http://localhost", "");
  EXPECT_THAT(loop_.run(anonymous.get("x")).error().what, HasSubstr("postern login"));
  EXPECT_TRUE(requests_.empty());
}

TEST_F(ApiClientTest, TellsWhatTheServerSaid) {
  will_answer(401, {{"error", "invalid jwt"}});
  EXPECT_EQ(error_of_get().what, "http://localhost: invalid jwt; log in with `postern login NAME`");
  will_answer(422, {{"error", "No artifact for the deployment"}});
  const Error refused = error_of_get();
  EXPECT_EQ(refused.what, "http://localhost: No artifact for the deployment");
  EXPECT_EQ(refused.reason, Reason::unprocessable);
  will_answer(404, nullptr);
  EXPECT_EQ(error_of_get().what, "http://localhost: 404 Not Found");
}

TEST_F(ApiClientTest, NamesTheRequestThatTheServerCouldNotServe) {
  will_answer(500, {{"error", "internal error"}});
  const Error error = error_of_get();
  EXPECT_EQ(error.kind, Kind::transient);
  EXPECT_THAT(error.what,
              ::testing::MatchesRegex("http://localhost: internal error .status 500, request [0-9a-f-]+."));
  will_answer(429, {{"error", "slow down"}});
  EXPECT_EQ(error_of_get().kind, Kind::transient);
}

TEST_F(ApiClientTest, DoesNotFollowARedirectWithItsToken) {
  will_answer(308, nullptr, {{"Location", "https://elsewhere/"}});
  EXPECT_THAT(error_of_get().what, HasSubstr("https://elsewhere/"));
  EXPECT_EQ(requests_.size(), 1U);
}

TEST_F(ApiClientTest, KeepsTheServersTextFromMovingTheCursor) {
  will_answer(400, {{"error", "a\x1b[2J"}});
  EXPECT_THAT(error_of_get().what, Not(HasSubstr("\x1b")));
}

TEST_F(ApiClientTest, NamesTheServerThatItCannotReach) {
  auto nowhere = *client_for("http://localhost:8443");
  const Error error = loop_.run(nowhere.get("x")).error();
  EXPECT_EQ(error.kind, Kind::transient);
  EXPECT_THAT(error.what, ::testing::StartsWith("cannot talk to http://localhost:8443: "));
}

TEST_F(ApiClientTest, NamesTheCaOptionWhenACertificateIsNotTrusted) {
  const auto certificate = testing::self_signed("secure");
  http::ServerOptions options;
  options.tls = [tls = *TlsServerContext::make({certificate.certificate_pem, certificate.key_pem})] {
    return tls;
  };
  http::Server secure(
      network_, loop_.clock(), random_, log_, {loop_.executor()},
      [this](http::Request& request) { return answer(request); }, std::move(options));
  ASSERT_TRUE(secure.listen({"secure", 443}));
  const auto other = testing::self_signed("secure");
  http::ClientOptions client_options;
  client_options.tls = *TlsClientContext::make({.trust_pem = other.certificate_pem});
  http::Client client(network_, loop_.clock(), std::move(client_options));
  auto api = *ApiClient::make(client, {.server = "https://secure", .ca = {}, .token = "t"});
  const Error error = loop_.run(api.get("x")).error();
  EXPECT_THAT(error.what, HasSubstr("https://secure"));
  EXPECT_THAT(error.what, HasSubstr("--ca"));
  EXPECT_TRUE(requests_.empty());
  EXPECT_TRUE(loop_.run(secure.stop(1s)));
}

TEST_F(ApiClientTest, ReadsListsPageByPage) {
  will_answer(200, json::array(500, json::value("a")));
  will_answer(200, json::array{"last"});
  const auto all = loop_.run(api_.list("v2/devauth/devices?status=pending"));
  EXPECT_EQ(all->size(), 501U);
  EXPECT_THAT(requests_,
              ElementsAre("GET /api/management/v2/devauth/devices?status=pending&page=1&per_page=500",
                          "GET /api/management/v2/devauth/devices?status=pending&page=2&per_page=500"));
}

TEST_F(ApiClientTest, RefusesAnswersOfAnotherShape) {
  will_answer(200, {{"no", "list"}});
  EXPECT_EQ(loop_.run(api_.list("x")).error().kind, Kind::corrupt);
  will_answer(201, nullptr);
  EXPECT_EQ(loop_.run(api_.create("x", json::object{})).error().kind, Kind::corrupt);
}

TEST_F(ApiClientTest, TakesTheIdFromTheEndOfTheLocation) {
  will_answer(201, nullptr, {{"Location", "./management/v1/deployments/artifacts/id-1"}});
  EXPECT_EQ(*loop_.run(api_.create("x", json::object{})), "id-1");
}

}  // namespace
}  // namespace postern::cli
