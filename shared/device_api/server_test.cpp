// The device routes over a plane that answers what the test says.
#include "shared/device_api/server.hpp"

#include <boost/json.hpp>

#include "shared/crypto/certificate.hpp"
#include "shared/crypto/keys.hpp"
#include "shared/testing/certificates.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"

namespace postern::device_api {
namespace {

namespace json = boost::json;

/// Knows one token, `good`, and fails every call with `failure` when there is one.
class FakePlane final : public DevicePlane {
 public:
  net::awaitable<Result<std::string>> authenticate(AuthRequest, Arrival arrival) override {
    arrived = std::move(arrival);
    if (failure) co_return *failure;
    co_return "token";
  }
  net::awaitable<Result<Caller>> identify(std::string token, Arrival arrival) override {
    arrived = std::move(arrival);
    if (token != "good") co_return unauthorized("token is not on record");
    co_return Caller{.device_id = "device-1", .ordinal = 1};
  }
  net::awaitable<Result<std::optional<Instruction>>> next_deployment(Caller,
                                                                     rollout::Device device) override {
    polled = device;
    if (failure) co_return *failure;
    co_return instruction;
  }
  net::awaitable<Status> report_status(Caller, std::string deployment_id, rollout::DeviceStatus,
                                       std::string) override {
    reported_deployment = deployment_id;
    if (failure) co_return *failure;
    co_return Status{};
  }
  net::awaitable<Status> store_log(Caller, std::string, std::vector<LogEntry>) override {
    if (failure) co_return *failure;
    co_return Status{};
  }
  net::awaitable<Status> take_inventory(Caller, std::vector<InventoryAttribute>, InventoryMode) override {
    if (failure) co_return *failure;
    co_return Status{};
  }

  std::optional<Error> failure;
  std::optional<Instruction> instruction;
  rollout::Device polled;
  Arrival arrived;
  std::string reported_deployment;
};

constexpr const char* kNext = "/api/devices/v2/deployments/device/deployments/next";
constexpr const char* kReport = R"({"device_provides":{"device_type":"t","artifact_name":"a"}})";

class DeviceServerTest : public ::testing::Test {
 protected:
  DeviceServerTest() { server_.add_routes(router_); }

  http::Response ask(std::string method, const std::string& target, std::string body,
                     std::optional<std::string> token = "good", http::Headers more = {}) {
    http::Request request;
    request.method = std::move(method);
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    if (const auto mark = target.find('?'); mark != std::string::npos)
      request.query = target.substr(mark + 1);
    request.headers = std::move(more);
    request.certificate = certificate_;
    if (token) request.headers.add("Authorization", "Bearer " + *token);
    request.headers.add("Content-Type", "application/json");
    request.body = std::make_unique<http::TextBody>(std::move(body));
    return loop_.run(router_.serve(request));
  }
  std::string text(http::Response& response) {
    return response.body ? *loop_.run(http::read_all(*response.body, 1 << 20)) : "";
  }

  testing::Loop loop_;
  testing::MemoryLog log_;
  FakePlane plane_;
  const Certificate* certificate_ = nullptr;
  Server server_{plane_, log_};
  http::Router router_;
};

TEST_F(DeviceServerTest, UnknownTokensGetA401WithoutABody) {
  for (const auto& token : {std::optional<std::string>(), std::optional<std::string>("foreign")}) {
    auto response = ask("POST", kNext, kReport, token);
    EXPECT_EQ(response.status, 401);
    EXPECT_EQ(text(response), "");
  }
}

TEST_F(DeviceServerTest, AnAcceptedAuthRequestGetsTheBareToken) {
  const PrivateKey key = PrivateKey::generate(KeyType::ed25519);
  const std::string body =
      json::serialize(json::object{{"id_data", "{}"}, {"pubkey", key.public_key().to_pem()}});
  auto response = ask("POST", "/api/devices/v1/authentication/auth_requests", body, std::nullopt,
                      {{"X-MEN-Signature", to_base64(key.sign(as_bytes(body)))}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.find("Content-Type"), "application/jwt");
  EXPECT_EQ(text(response), "token");
}

TEST_F(DeviceServerTest, ThePlaneLearnsHowARequestCame) {
  const Certificate certificate = *Certificate::from_pem(testing::self_signed("gateway").certificate_pem);
  certificate_ = &certificate;
  const http::Headers agent{{"User-Agent", "some-client/1"}};
  EXPECT_EQ(ask("POST", kNext, kReport, "good", agent).status, 204);
  EXPECT_EQ(plane_.arrived.certificate, &certificate);
  EXPECT_EQ(plane_.arrived.user_agent, "some-client/1");
  certificate_ = nullptr;
  EXPECT_EQ(ask("POST", kNext, kReport, "good", agent).status, 204);
  EXPECT_EQ(plane_.arrived.certificate, nullptr);
}

TEST_F(DeviceServerTest, APollWithoutADeploymentGetsA204) {
  EXPECT_EQ(ask("POST", kNext, kReport).status, 204);
  EXPECT_EQ(plane_.polled.device_type, "t");
}

TEST_F(DeviceServerTest, AllFormsOfThePollReachThePlane) {
  plane_.instruction = Instruction{.deployment_id = "d", .artifact_name = "n"};
  auto v2 = ask("POST", kNext, kReport);
  auto v1 = ask("POST", "/api/devices/v1/deployments/device/deployments/next",
                R"({"device_type":"t","artifact_name":"a"})");
  auto get =
      ask("GET", "/api/devices/v1/deployments/device/deployments/next?device_type=t&artifact_name=a", "");
  for (auto* response : {&v2, &v1, &get}) {
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(json::parse(text(*response)).at("id"), "d");
  }
}

TEST_F(DeviceServerTest, MalformedJsonGetsA400InTheShapeOfErrors) {
  auto response = ask("POST", kNext, "{");
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(json::parse(text(response)).as_object().contains("error"));
}

TEST_F(DeviceServerTest, NothingButTheStatusesThatClientsUnderstandIsAnError) {
  for (const auto& [failure, expected] : {std::pair(transient("disk hiccup"), 500),
                                          {exhausted("disk full"), 500},
                                          {corrupt("bad record"), 500},
                                          {conflict("Deployment aborted"), 409},
                                          {not_found("no deployment"), 404},
                                          {invalid("bad"), 400},
                                          {rejected(Reason::too_large, "large"), 400},
                                          {rejected(Reason::forbidden, "no"), 400},
                                          {rejected(Reason::unprocessable, "odd"), 400}}) {
    plane_.failure = failure;
    EXPECT_EQ(
        ask("PUT", "/api/devices/v1/deployments/device/deployments/d1/status", R"({"status":"installing"})")
            .status,
        expected)
        << failure.what;
  }
}

TEST_F(DeviceServerTest, OurOwnFailuresAreLoggedAndNotTold) {
  plane_.failure = corrupt("record of device-1 is broken");
  auto response = ask("POST", kNext, kReport);
  EXPECT_EQ(text(response).find("broken"), std::string::npos);
  EXPECT_EQ(log_.count("device_api.request_failed"), 1);
}

TEST_F(DeviceServerTest, ReportsReachTheDeploymentThatThePathNames) {
  EXPECT_EQ(
      ask("PUT", "/api/devices/v1/deployments/device/deployments/d%2D1/status", R"({"status":"success"})")
          .status,
      204);
  EXPECT_EQ(plane_.reported_deployment, "d-1");
}

TEST_F(DeviceServerTest, InventoryIsAnsweredWith200) {
  for (const char* method : {"PUT", "PATCH"}) {
    EXPECT_EQ(
        ask(method, "/api/devices/v1/inventory/device/attributes", R"([{"name":"a","value":"1"}])").status,
        200);
  }
}

}  // namespace
}  // namespace postern::device_api
