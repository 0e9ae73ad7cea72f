#include "shared/device_api/codec.hpp"

#include <boost/json.hpp>

#include "shared/crypto/keys.hpp"

namespace postern::device_api {
namespace {

namespace json = boost::json;

const PrivateKey& device_key() {
  static const PrivateKey key = PrivateKey::generate(KeyType::ed25519);
  return key;
}

std::string auth_body() {
  return json::serialize(json::object{{"id_data", R"({"mac":"00:01"})"},
                                      {"pubkey", device_key().public_key().to_pem()},
                                      {"tenant_token", nullptr}});
}

Result<AuthRequest> decode_signed(const std::string& body) {
  return decode_auth_request(body, to_base64(device_key().sign(as_bytes(body))));
}

TEST(AuthRequestCodec, ReadsIdentityKeyAndTier) {
  const auto request = decode_signed(auth_body());
  ASSERT_TRUE(request) << request.error().what;
  EXPECT_EQ(request->identity.canonical, R"({"mac":"00:01"})");
  EXPECT_EQ(request->public_key_pem, device_key().public_key().to_pem());
  EXPECT_EQ(request->tier, "standard");
}

TEST(AuthRequestCodec, TakesEveryKindOfKey) {
  for (const KeyType type : {KeyType::rsa, KeyType::ecdsa, KeyType::ed25519}) {
    const PrivateKey key = PrivateKey::generate(type);
    const std::string body =
        json::serialize(json::object{{"id_data", "{}"}, {"pubkey", key.public_key().to_pem()}});
    EXPECT_TRUE(decode_auth_request(body, to_base64(key.sign(as_bytes(body))))) << to_string(type);
  }
}

TEST(AuthRequestCodec, RefusesASignatureOfAnotherBody) {
  const auto request = decode_auth_request(auth_body(), to_base64(device_key().sign(as_bytes("{}"))));
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().reason, Reason::unauthorized);
}

TEST(AuthRequestCodec, RefusesAMissingSignature) {
  const auto request = decode_auth_request(auth_body(), std::nullopt);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().reason, Reason::invalid);
}

TEST(AuthRequestCodec, RefusesBodiesOfTheWrongShape) {
  for (const char* body :
       {"", "{", "[]", "null", R"({"id_data":1,"pubkey":"x"})", R"({"id_data":"{}"})", R"({"pubkey":"x"})",
        R"({"id_data":"{}","pubkey":"no key"})", R"({"id_data":"not json","pubkey":"x"})"}) {
    const auto request = decode_signed(body);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().reason, Reason::invalid) << body;
  }
}

TEST(PollCodec, SeparatesTheTwoNamesFromTheProvides) {
  const auto device = decode_poll_v2(json::parse(
      R"({"device_provides":{"device_type":"t","artifact_name":"a","rootfs-image.version":"1"}})"));
  ASSERT_TRUE(device);
  EXPECT_EQ(device->device_type, "t");
  EXPECT_EQ(device->artifact_name, "a");
  EXPECT_EQ(device->provides, (std::map<std::string, std::string>{{"rootfs-image.version", "1"}}));
}

TEST(PollCodec, RefusesAReportWithoutDeviceTypeOrArtifact) {
  for (const char* body : {"{}", R"({"device_provides":[]})", R"({"device_provides":{"artifact_name":"a"}})",
                           R"({"device_provides":{"device_type":"t","artifact_name":""}})",
                           R"({"device_provides":{"device_type":1,"artifact_name":"a"}})"}) {
    EXPECT_FALSE(decode_poll_v2(json::parse(body))) << body;
  }
}

TEST(PollCodec, ReadsTheQueryOfTheOldestForm) {
  const auto device = decode_poll_query("artifact_name=a+b&device_type=t%2F1");
  ASSERT_TRUE(device);
  EXPECT_EQ(device->artifact_name, "a b");
  EXPECT_EQ(device->device_type, "t/1");
}

TEST(StatusCodec, KeepsTheSubstate) {
  const auto report = decode_status(json::parse(R"({"status":"installing","substate":"module 3"})"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->status, rollout::DeviceStatus::installing);
  EXPECT_EQ(report->substate, "module 3");
}

TEST(StatusCodec, RefusesWhatNoDeviceMayReport) {
  for (const char* body : {R"({"status":"aborted"})", R"({"status":"pending"})", R"({"status":"noartifact"})",
                           R"({"status":"fine"})", R"({"status":1})", "{}", "[]"}) {
    EXPECT_FALSE(decode_status(json::parse(body))) << body;
  }
  EXPECT_FALSE(decode_status({{"status", "installing"}, {"substate", std::string(201, 'x')}}));
}

TEST(LogCodec, TakesNullTimesOfSmallClients) {
  const auto entries = decode_log(json::parse(R"({"messages":[{"timestamp":null,"level":null,"message":"m"},
                                  {"timestamp":"2026-01-01T00:00:00Z","level":"error","message":"n"}]})"));
  ASSERT_TRUE(entries) << entries.error().what;
  ASSERT_EQ(entries->size(), 2);
  EXPECT_FALSE((*entries)[0].time);
  EXPECT_EQ((*entries)[1].level, "error");
}

TEST(LogCodec, RefusesEmptyAndMalformedLogs) {
  for (const char* body : {"{}", "[]", R"({"messages":[]})", R"({"messages":[1]})",
                           R"({"messages":[{"timestamp":"yesterday","level":"info","message":"m"}]})"}) {
    EXPECT_FALSE(decode_log(json::parse(body))) << body;
  }
}

TEST(InventoryCodec, LastOfTwoEqualNamesCounts) {
  const auto attributes = decode_inventory(
      json::parse(R"([{"name":"a","value":"1"},{"name":"b","value":2},{"name":"a","value":[1,2.5]}])"));
  ASSERT_TRUE(attributes);
  ASSERT_EQ(attributes->size(), 2);
  EXPECT_EQ((*attributes)[0].value, json::parse("[1,2.5]"));
}

TEST(InventoryCodec, RefusesOtherTypesThanTextsNumbersAndArraysOfOneOfThem) {
  for (const char* body : {R"([{"name":"a","value":true}])", R"([{"name":"a","value":null}])",
                           R"([{"name":"a","value":{}}])", R"([{"name":"a","value":["x",1]}])",
                           R"([{"name":"a"}])", R"([{"name":"","value":"x"}])", "{}", "[1]"}) {
    EXPECT_FALSE(decode_inventory(json::parse(body))) << body;
  }
}

TEST(InstructionCodec, HasAllThatAClientNeeds) {
  const auto value = encode_instruction({.deployment_id = "d",
                                         .artifact_id = "a",
                                         .artifact_name = "n",
                                         .device_types = {"t"},
                                         .uri = "https://h/x",
                                         .expires = WallTime()});
  EXPECT_EQ(value, json::parse(R"({"id":"d","artifact":{"id":"a","artifact_name":"n",
      "device_types_compatible":["t"],
      "source":{"uri":"https://h/x","expire":"1970-01-01T00:00:00.000Z","method":"GET"}}})"));
}

}  // namespace
}  // namespace postern::device_api
