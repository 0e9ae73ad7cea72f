#include "device/server/protocol_server.hpp"

#include <boost/json.hpp>

#include "device/server/fake_peer.hpp"
#include "shared/device_api/codec.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/certificates.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kAuth = "POST /api/devices/v1/authentication/auth_requests";
constexpr std::string_view kNext = "POST /api/devices/v2/deployments/device/deployments/next";
constexpr std::string_view kInventory = "PUT /api/devices/v1/inventory/device/attributes";
constexpr std::string_view kStatus = "PUT /api/devices/v1/deployments/device/deployments/id-1/status";

http::Response ok(std::string text = "") {
  return http::Response::text(200, "x", std::move(text));
}
http::Response nothing() {
  return http::Response::empty(204);
}
std::string at(std::string_view host, std::string_view what) {
  return fmt::format("{} {}", host, what);
}

class ProtocolServerTest : public ::testing::Test {
 protected:
  ProtocolServerTest() {
    peers_.add("a");
    start({.urls = {"http://a"}, .version = "1.2.3"});
    peers_.answer = [this](const Seen& seen) {
      if (seen.what == kAuth) return ok(fmt::format("token{}", ++tokens_));
      return answer_(seen);
    };
  }

  void start(ProtocolServerOptions options) {
    auto made = ProtocolServer::make(
        {.network = peers_.network(),
         .clock = peers_.loop().clock(),
         .log = peers_.log(),
         .tls = nullptr,
         .key = *PrivateKey::from_pem(key_.to_pem()),
         .identity = [this]() -> net::awaitable<Result<std::string>> { co_return identity_; }},
        std::move(options));
    ASSERT_TRUE(made) << made.error().what;
    server_ = *std::move(made);
  }
  template <class T>
  T run(net::awaitable<T> operation) {
    return peers_.loop().run(std::move(operation));
  }
  Result<std::optional<Deployment>> poll(const Provides& provides = {{"artifact_name", "r1"}}) {
    return run(server_->next_deployment("box", provides));
  }
  Status report() { return run(server_->report_status("id-1", "installing")); }

  FakePeers peers_;
  PrivateKey key_ = PrivateKey::generate(KeyType::ed25519);
  Result<std::string> identity_ = R"({"mac":"00:11"})";
  int tokens_ = 0;
  std::function<http::Response(const Seen&)> answer_ = [](const Seen&) { return nothing(); };
  std::unique_ptr<ProtocolServer> server_;
};

TEST_F(ProtocolServerTest, AuthenticatesWithASignedRequest) {
  ASSERT_TRUE(report());
  const Seen& seen = peers_.seen().front();
  EXPECT_EQ(seen.what, kAuth);
  const auto request = device_api::decode_auth_request(seen.body, seen.headers.find("X-MEN-Signature"));
  ASSERT_TRUE(request) << request.error().what;
  const auto body = boost::json::parse(seen.body);
  EXPECT_EQ(body.at("id_data").as_string(), R"({"mac":"00:11"})");
  EXPECT_EQ(std::string(body.at("pubkey").as_string()), key_.public_key().to_pem());
  EXPECT_EQ(body.at("tier").as_string(), "standard");
  EXPECT_FALSE(body.as_object().contains("tenant_token"));
  EXPECT_EQ(seen.header("Authorization"), "API_KEY");
  EXPECT_EQ(seen.header("Content-Type"), "application/json");
  EXPECT_EQ(seen.header("User-Agent"), "postern-device/1.2.3");
}

TEST_F(ProtocolServerTest, SendsTheTenantTokenAndTheTier) {
  start({.urls = {"http://a"}, .tenant_token = "TT", .tier = "micro"});
  ASSERT_TRUE(report());
  const auto body = boost::json::parse(peers_.seen().front().body);
  EXPECT_EQ(body.at("tenant_token").as_string(), "TT");
  EXPECT_EQ(body.at("tier").as_string(), "micro");
}

TEST_F(ProtocolServerTest, KeepsTheToken) {
  ASSERT_TRUE(report());
  ASSERT_TRUE(report());
  EXPECT_THAT(peers_.requests(), ElementsAre(at("a", kAuth), at("a", kStatus), at("a", kStatus)));
  EXPECT_EQ(peers_.seen().at(2).header("Authorization"), "Bearer token1");
}

TEST_F(ProtocolServerTest, AnExpiredTokenIsReplacedBeforeTheNextCall) {
  ASSERT_TRUE(report());
  server_->expire_token();
  ASSERT_TRUE(report());
  EXPECT_EQ(tokens_, 2);
  EXPECT_EQ(peers_.seen().back().header("Authorization"), "Bearer token2");
}

TEST_F(ProtocolServerTest, AVoidTokenIsReplacedOnceAndTheRequestRepeated) {
  answer_ = [](const Seen& seen) {
    return seen.header("Authorization") == "Bearer token1" ? http::Response::empty(401) : nothing();
  };
  EXPECT_TRUE(report());
  EXPECT_EQ(tokens_, 2);
  answer_ = [](const Seen&) { return http::Response::empty(401); };
  const Status refused = report();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::unauthorized);
  EXPECT_EQ(tokens_, 3);
}

TEST_F(ProtocolServerTest, ADeviceThatIsNotAcceptedIsUnauthorized) {
  for (const int status : {401, 403}) {
    peers_.answer = [status](const Seen&) {
      return http::Response::text(status, "x", R"({"error":"dev auth: unauthorized"})");
    };
    const auto deployment = poll();
    ASSERT_FALSE(deployment);
    EXPECT_EQ(deployment.error().reason, Reason::unauthorized);
    EXPECT_THAT(deployment.error().what, HasSubstr("dev auth: unauthorized"));
  }
}

TEST_F(ProtocolServerTest, WithoutAnIdentityNothingIsSent) {
  identity_ = rejected(Reason::none, "script failed");
  EXPECT_THAT(poll().error().what, HasSubstr("script failed"));
  EXPECT_THAT(peers_.seen(), IsEmpty());
}

TEST_F(ProtocolServerTest, ATokenThatDoesNotFitAHeaderIsRefused) {
  for (const std::string token : {"", "a b", "a\r\nX: y"}) {
    peers_.answer = [&](const Seen&) { return ok(token); };
    EXPECT_FALSE(report());
    server_->expire_token();
  }
  peers_.answer = [](const Seen& seen) { return seen.what == kAuth ? ok("abc\n") : nothing(); };
  EXPECT_TRUE(report());
}

TEST_F(ProtocolServerTest, TriesServersInOrderAndStaysWithTheOneThatTookIt) {
  peers_.add("b");
  start({.urls = {"http://none", "http://a/", "http://b"}});
  peers_.answer = [](const Seen& seen) {
    if (seen.host == "a") return http::Response::empty(401);
    return seen.what == kAuth ? ok("t") : nothing();
  };
  ASSERT_TRUE(report());
  ASSERT_TRUE(report());
  EXPECT_THAT(peers_.requests(),
              ElementsAre(at("a", kAuth), at("b", kAuth), at("b", kStatus), at("b", kStatus)));
}

TEST_F(ProtocolServerTest, MovesToAnotherServerWhenItsOwnIsGone) {
  peers_.add("b");
  start({.urls = {"http://a", "http://b"}});
  ASSERT_TRUE(report());
  peers_.answer = [](const Seen& seen) {
    if (seen.host == "a") return http::Response::close_connection();
    return seen.what == kAuth ? ok("t") : nothing();
  };
  ASSERT_TRUE(report());
  EXPECT_EQ(peers_.requests().back(), at("b", kStatus));
}

TEST_F(ProtocolServerTest, ARefusalTellsMoreThanAServerThatCannotBeReached) {
  start({.urls = {"http://a", "http://none"}});
  peers_.answer = [](const Seen&) { return http::Response::empty(401); };
  EXPECT_EQ(poll().error().reason, Reason::unauthorized);
}

TEST_F(ProtocolServerTest, KeepsAPathInTheServerUrl) {
  start({.urls = {"http://a/base/"}});
  peers_.answer = [](const Seen&) { return ok("t"); };
  (void)poll();
  EXPECT_EQ(peers_.requests().front(), "a POST /base/api/devices/v1/authentication/auth_requests");
}

TEST_F(ProtocolServerTest, RefusesUrlsThatAreNone) {
  for (const std::string url : {"a", "ftp://a", "http://a/?x=1"}) {
    EXPECT_FALSE(ProtocolServer::make({.network = peers_.network(),
                                       .clock = peers_.loop().clock(),
                                       .log = peers_.log(),
                                       .tls = nullptr,
                                       .key = *PrivateKey::from_pem(key_.to_pem()),
                                       .identity = {}},
                                      {.urls = {url}}))
        << url;
  }
}

TEST_F(ProtocolServerTest, ReadsADeployment) {
  answer_ = [](const Seen&) {
    return ok(R"({"id":"id-1","artifact":{"artifact_name":"r2","device_types_compatible":["box"],
                  "source":{"uri":"http://blobs/x","expire":"2026-01-02T00:00:00Z"}},"more":1})");
  };
  const auto deployment = poll({{"artifact_name", "r1"}, {"rootfs.version", "1"}, {"device_type", "liar"}});
  ASSERT_TRUE(deployment && *deployment);
  EXPECT_EQ((*deployment)->id, "id-1");
  EXPECT_EQ((*deployment)->artifact_name, "r2");
  EXPECT_EQ((*deployment)->uri, "http://blobs/x");
  EXPECT_EQ(peers_.seen().back().what, kNext);
  EXPECT_EQ(boost::json::parse(peers_.seen().back().body),
            boost::json::parse(
                R"({"device_provides":{"device_type":"box","artifact_name":"r1","rootfs.version":"1"}})"));
}

TEST_F(ProtocolServerTest, NothingToDoIsNoDeployment) {
  const auto deployment = poll();
  ASSERT_TRUE(deployment);
  EXPECT_FALSE(deployment->has_value());
}

TEST_F(ProtocolServerTest, RefusesDeploymentsThatCannotBeUsed) {
  for (const std::string body :
       {R"()", R"([])", R"({"id":"i"})", R"({"id":"i","artifact":{"source":{"uri":1}}})",
        R"({"id":"../x","artifact":{"source":{"uri":"http://b"}}})",
        R"({"id":1,"artifact":{"source":{"uri":"http://b"}}})"}) {
    answer_ = [&](const Seen&) { return ok(body); };
    EXPECT_FALSE(poll()) << body;
  }
}

TEST_F(ProtocolServerTest, FallsBackToTheOldPollWhenTheNewOneIsUnknown) {
  answer_ = [](const Seen& seen) { return seen.what == kNext ? http::Response::empty(404) : nothing(); };
  ASSERT_TRUE(poll({{"artifact_name", "r 1&x"}}));
  EXPECT_EQ(
      peers_.seen().back().what,
      "GET /api/devices/v1/deployments/device/deployments/next?artifact_name=r%201%26x&device_type=box");
}

TEST_F(ProtocolServerTest, OtherAnswersToAPollAreErrors) {
  for (const int status : {400, 403, 405, 409, 429, 500}) {
    peers_.forget();
    answer_ = [status](const Seen&) { return http::Response::empty(status); };
    EXPECT_FALSE(poll()) << status;
    EXPECT_EQ(peers_.seen().back().what, kNext);
  }
}

TEST_F(ProtocolServerTest, ReportsAStatus) {
  ASSERT_TRUE(report());
  EXPECT_EQ(peers_.seen().back().body, R"({"status":"installing"})");
}

TEST_F(ProtocolServerTest, OnlyTheExactStatusIsASuccess) {
  answer_ = [](const Seen&) { return ok(); };
  EXPECT_FALSE(report());
  EXPECT_FALSE(run(server_->upload_log("id-1", "{}")));
  answer_ = [](const Seen&) { return nothing(); };
  EXPECT_FALSE(run(server_->submit_inventory({{"a", {"1"}}})));
}

TEST_F(ProtocolServerTest, AnAbortedDeploymentIsAConflict) {
  answer_ = [](const Seen&) { return http::Response::text(409, "x", R"({"error":"Deployment aborted"})"); };
  EXPECT_EQ(report().error().reason, Reason::conflict);
}

TEST_F(ProtocolServerTest, UploadsALog) {
  ASSERT_TRUE(run(server_->upload_log("id-1", R"({"messages":[]})")));
  EXPECT_EQ(peers_.seen().back().what, "PUT /api/devices/v1/deployments/device/deployments/id-1/log");
  EXPECT_EQ(peers_.seen().back().body, R"({"messages":[]})");
  answer_ = [](const Seen&) { return http::Response::empty(413); };
  EXPECT_EQ(run(server_->upload_log("id-1", "{}")).error().reason, Reason::too_large);
}

TEST_F(ProtocolServerTest, SubmitsTheInventorySortedByName) {
  answer_ = [](const Seen&) { return ok(); };
  ASSERT_TRUE(run(server_->submit_inventory({{"b", {"2", "3"}}, {"a", {"1"}}})));
  EXPECT_EQ(peers_.seen().back().what, kInventory);
  EXPECT_EQ(peers_.seen().back().body, R"([{"name":"a","value":"1"},{"name":"b","value":["2","3"]}])");
}

TEST_F(ProtocolServerTest, AnUnchangedInventoryIsSentAgainAfterAuthenticationOnly) {
  answer_ = [](const Seen&) { return ok(); };
  const auto count = [this] { return std::ranges::count(peers_.requests(), at("a", kInventory)); };
  ASSERT_TRUE(run(server_->submit_inventory({{"a", {"1"}}})));
  ASSERT_TRUE(run(server_->submit_inventory({{"a", {"1"}}})));
  EXPECT_EQ(count(), 1);
  ASSERT_TRUE(run(server_->submit_inventory({{"a", {"2"}}})));
  EXPECT_EQ(count(), 2);
  server_->expire_token();
  ASSERT_TRUE(run(server_->submit_inventory({{"a", {"2"}}})));
  EXPECT_EQ(count(), 3);
}

TEST_F(ProtocolServerTest, AnInventoryThatFailedIsSentAgain) {
  answer_ = [](const Seen&) { return http::Response::empty(500); };
  EXPECT_FALSE(run(server_->submit_inventory({{"a", {"1"}}})));
  answer_ = [](const Seen&) { return ok(); };
  ASSERT_TRUE(run(server_->submit_inventory({{"a", {"1"}}})));
  EXPECT_EQ(peers_.seen().back().what, kInventory);
}

TEST_F(ProtocolServerTest, TellsHowLongTheServerAskedToWait) {
  answer_ = [](const Seen&) {
    auto response = http::Response::empty(429);
    response.headers.add("Retry-After", "17");
    return response;
  };
  EXPECT_FALSE(report());
  EXPECT_EQ(server_->retry_after(), 17s);
  answer_ = [](const Seen&) { return http::Response::empty(500); };
  EXPECT_FALSE(report());
  EXPECT_EQ(server_->retry_after(), std::nullopt);
}

TEST_F(ProtocolServerTest, DownloadsWithoutItsToken) {
  answer_ = [](const Seen&) { return ok("bytes"); };
  const auto fetch = [this]() -> net::awaitable<Result<std::string>> {
    POSTERN_CO_TRY(auto body, co_await server_->download("http://a/artifact"));
    co_return co_await http::read_all(*body, 100);
  };
  EXPECT_EQ(*run(fetch()), "bytes");
  EXPECT_THAT(peers_.requests(), ElementsAre("a GET /artifact"));
  EXPECT_EQ(peers_.seen().front().header("Authorization"), "");
  EXPECT_FALSE(run(server_->download("artifact.mender")));
}

TEST(ServerTls, NamesTheFileThatCannotBeUsed) {
  const testing::TemporaryDirectory directory;
  Settings settings;
  settings.server_certificate = directory.path() + "/ca.pem";
  EXPECT_THAT(make_server_tls(settings).error().what, HasSubstr("ca.pem"));
  ASSERT_TRUE(write_file(settings.server_certificate, "no PEM", 0600, Existing::refuse));
  EXPECT_FALSE(make_server_tls(settings));
}

TEST(ServerTls, TakesAuthoritiesAndAClientCertificate) {
  const testing::TemporaryDirectory directory;
  const auto certificate = testing::self_signed("device");
  Settings settings;
  EXPECT_TRUE(make_server_tls(settings));
  settings.server_certificate = settings.client_certificate = directory.path() + "/cert.pem";
  settings.client_key = directory.path() + "/key.pem";
  ASSERT_TRUE(write_file(settings.client_certificate, certificate.certificate_pem, 0600, Existing::refuse));
  ASSERT_TRUE(write_file(settings.client_key, certificate.key_pem, 0600, Existing::refuse));
  const auto context = make_server_tls(settings);
  EXPECT_TRUE(context) << context.error().what;
}

}  // namespace
}  // namespace postern::device
