// The whole cloud: devices and operators.
#include "cloud/app_fixture.hpp"

namespace postern::cloud {
namespace {

using namespace std::chrono_literals;

TEST_F(CloudTest, ADeviceGoesFromPendingToSuccess) {
  const std::string artifact = testing::build_artifact({.name = "release-1"});
  ASSERT_EQ(upload(artifact).status, 201);
  const PrivateKey key = PrivateKey::generate(KeyType::ecdsa);
  const auto [id, token] = accepted_device(key);
  EXPECT_EQ(poll(token).status, 204);
  const std::string deployment_id = deploy("release-1", id);
  EXPECT_EQ(deployment(deployment_id).at("status"), "pending");

  const Answer instruction = poll(token);
  ASSERT_EQ(instruction.status, 200);
  EXPECT_EQ(instruction.json().at("id"), json::value(deployment_id));
  const Answer whole = ask("GET", link_of(instruction), "", {});
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, artifact);
  for (const char* status : {"downloading", "installing", "rebooting", "success"}) {
    EXPECT_EQ(report(token, deployment_id, status).status, 204) << status;
  }
  const auto finished = deployment(deployment_id);
  EXPECT_EQ(finished.at("status"), "finished");
  EXPECT_EQ(finished.at("statistics").at("status").at("success"), 1);
  EXPECT_EQ(finished.at("statistics").at("status").at("pending"), 0);
  EXPECT_EQ(finished.at("statistics").at("total_size"), artifact.size());
  EXPECT_EQ(poll(token, "release-1").status, 204);
  const auto devices =
      manage("GET", fmt::format("v1/deployments/deployments/{}/devices", deployment_id)).json();
  EXPECT_EQ(devices.at(0).at("id"), json::value(id));
  EXPECT_EQ(devices.at(0).at("status"), "success");
  EXPECT_EQ(devices.at(0).at("image").at("name"), "release-1");
}

TEST_F(CloudTest, ARangedDownloadIsAnsweredExactlyOrNotAtAll) {
  const std::string artifact = testing::build_artifact({.name = "r"});
  ASSERT_EQ(upload(artifact).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment_id = deploy("r", id);
  const std::string link = link_of(poll(token));
  const Answer part = ask("GET", link, "", {{"Range", fmt::format("bytes=100-{}", artifact.size() - 1)}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, artifact.substr(100));
  EXPECT_EQ(part.headers.find("Content-Range"),
            fmt::format("bytes 100-{}/{}", artifact.size() - 1, artifact.size()));
  const auto ranged = [&](const std::string& target, std::string range) {
    return loop_.run(send("GET", target, "", {{"Range", std::move(range)}}));
  };
  EXPECT_FALSE(ranged(link, fmt::format("bytes={}-", artifact.size())));
  EXPECT_FALSE(ranged(link + "x", "bytes=1-"));
  loop_.advance(25h);
  EXPECT_EQ(ask("GET", link, "", {}).status, 403);
  EXPECT_EQ(ranged(link, "bytes=1-")->status, 206) << "a cut download goes on after the link's time";
  EXPECT_EQ(manage("PUT", fmt::format("v1/deployments/deployments/{}/status", deployment_id),
                   R"({"status":"aborted"})")
                .status,
            204);
  EXPECT_FALSE(ranged(link, "bytes=1-"));
}

TEST_F(CloudTest, LinksHaveNoColonAfterTheirHost) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  deploy("r", id);
  const std::string link = link_of(poll(token));
  EXPECT_FALSE(link.substr(std::string("http://cloud:80").size()).contains(':')) << link;
}

TEST_F(CloudTest, RejectingADeviceEndsItsTokenAtOnce) {
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::rsa));
  EXPECT_EQ(poll(token).status, 204);
  const auto device = manage("GET", "v2/devauth/devices/" + id).json();
  const std::string set(device.at("auth_sets").at(0).at("id").as_string());
  EXPECT_EQ(
      manage("PUT", fmt::format("v2/devauth/devices/{}/auth/{}/status", id, set), R"({"status":"rejected"})")
          .status,
      204);
  const Answer refused = poll(token);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, "");
}

TEST_F(CloudTest, ForeignUnsignedAndExpiredTokensAreRefused) {
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string claims = token.substr(token.find('.') + 1, token.rfind('.') - token.find('.') - 1);
  const std::string none = to_base64url(as_bytes(R"({"alg":"none","typ":"JWT"})")) + "." + claims + ".";
  const DeviceTokens foreign(PrivateKey::generate(KeyType::ed25519));
  EXPECT_EQ(poll(none).status, 401);
  EXPECT_EQ(poll(foreign.issue("set", id, loop_.clock().wall())).status, 401);
  EXPECT_EQ(poll(token_).status, 401) << "a user's token is no device's";
  EXPECT_EQ(ask("GET", "/api/management/v2/devauth/devices", "", bearer(token)).status, 401);
  EXPECT_EQ(poll(token).status, 204);
  loop_.advance(std::chrono::seconds(kTokenLifetime) + 1s);
  EXPECT_EQ(poll(token).status, 401);
  EXPECT_EQ(manage("GET", "v2/devauth/devices").status, 401);
}

TEST_F(CloudTest, APreauthorizedDeviceNeedsNobodyToAcceptIt) {
  const PrivateKey key = PrivateKey::generate(KeyType::ecdsa);
  const std::string body = json::serialize(
      json::object{{"identity_data", {{"mac", "00:01"}}}, {"pubkey", key.public_key().to_pem()}});
  const Answer made = manage("POST", "v2/devauth/devices", body);
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_TRUE(made.headers.find("Location")->starts_with("devices/"));
  EXPECT_EQ(authenticate(key).status, 200);
  const Answer again = manage("POST", "v2/devauth/devices", body);
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.json().at("status"), "accepted");
}

TEST_F(CloudTest, ADecommissionedDeviceIsGoneWithItsToken) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment_id = deploy("r", id);
  ASSERT_EQ(poll(token).status, 200);
  EXPECT_EQ(manage("DELETE", "v2/devauth/devices/" + id).status, 204);
  EXPECT_EQ(poll(token).status, 401);
  EXPECT_EQ(manage("GET", "v2/devauth/devices/" + id).status, 404);
  EXPECT_EQ(manage("DELETE", "v2/devauth/devices/" + id).body, "");
  EXPECT_EQ(deployment(deployment_id).at("statistics").at("status").at("decommissioned"), 1);
}

TEST_F(CloudTest, AbortingReachesADeviceAtItsNextReport) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment_id = deploy("r", id);
  ASSERT_EQ(poll(token).status, 200);
  ASSERT_EQ(report(token, deployment_id, "downloading").status, 204);
  const std::string status_path = fmt::format("v1/deployments/deployments/{}/status", deployment_id);
  EXPECT_EQ(manage("PUT", status_path, R"({"status":"success"})").status, 400);
  EXPECT_EQ(manage("PUT", status_path, R"({"status":"aborted"})").status, 204);
  EXPECT_EQ(manage("PUT", status_path, R"({"status":"aborted"})").status, 422);
  EXPECT_EQ(report(token, deployment_id, "installing").status, 409);
  EXPECT_EQ(deployment(deployment_id).at("statistics").at("status").at("aborted"), 1);
  EXPECT_EQ(poll(token).status, 204);
}

TEST_F(CloudTest, DeviceReportsOfTheWrongKindAreRefused) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment_id = deploy("r", id);
  ASSERT_EQ(poll(token).status, 200);
  EXPECT_EQ(report(token, deployment_id, "aborted").status, 400);
  EXPECT_EQ(report(token, "nonsense", "installing").status, 404);
  EXPECT_EQ(poll(token, "", "d").status, 400);
  EXPECT_EQ(poll(token, "other", "d").status, 409) << "another report than the one the deployment began with";
}

TEST_F(CloudTest, ADeploymentThatFitsNobodyEndsAsNoArtifact) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r", .device_types = {"other"}})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment_id = deploy("r", id);
  EXPECT_EQ(poll(token).status, 204);
  EXPECT_EQ(deployment(deployment_id).at("status"), "finished");
  EXPECT_EQ(deployment(deployment_id).at("statistics").at("status").at("noartifact"), 1);
}

TEST_F(CloudTest, LogsAndInventoryAreKeptForOperators) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment_id = deploy("r", id);
  ASSERT_EQ(poll(token).status, 200);
  EXPECT_EQ(
      ask("PUT", fmt::format("/api/devices/v1/deployments/device/deployments/{}/log", deployment_id),
          R"({"messages":[{"timestamp":"2026-01-02T03:04:05.678Z","level":"error","message":"no space"}]})",
          bearer(token))
          .status,
      204);
  EXPECT_EQ(
      manage("GET", fmt::format("v1/deployments/deployments/{}/devices/{}/log", deployment_id, id)).body,
      "2026-01-02 03:04:05.678 +0000 UTC error: no space\n");
  EXPECT_EQ(ask("PATCH", "/api/devices/v1/inventory/device/attributes", R"([{"name":"os","value":"linux"}])",
                bearer(token))
                .status,
            200);
  const auto inventory = manage("GET", "v1/inventory/devices/" + id).json();
  EXPECT_EQ(inventory.at("attributes").at(0).at("value"), "linux");
}

TEST_F(CloudTest, OnlyWholeAndUnharmedArtifactsAreListed) {
  const std::string good = testing::build_artifact({.name = "r"});
  EXPECT_EQ(upload(good.substr(0, good.size() / 2)).status, 400);
  EXPECT_EQ(upload("no artifact at all").status, 400);
  testing::ArtifactSpec damaged{.name = "r", .data_suffix = ""};
  damaged.edits.data_items = [](std::vector<testing::TarItem>& items) { items.front().content = "HELLO"; };
  const Answer refused = upload(testing::build_artifact(damaged));
  EXPECT_EQ(refused.status, 400);
  EXPECT_TRUE(refused.json().at("error").as_string().starts_with("invalid checksum")) << refused.body;
  EXPECT_EQ(upload(testing::build_artifact({.name = "r", .payload_type = "a/b"})).status, 400);
  EXPECT_EQ(upload(good, "Content-Disposition: form-data; name=\"size\"\r\n\r\n10\r\n--B\r\n").status, 413);
  EXPECT_EQ(upload(good, "Content-Disposition: form-data; name=\"size\"\r\n\r\n99999999\r\n--B\r\n").status,
            400);
  EXPECT_EQ(manage("GET", "v1/deployments/artifacts").body, "[]");
  EXPECT_EQ(open_directory(directory_.path()).value()->list()->size(), 0);
  EXPECT_EQ(upload(good).status, 201);
  const Answer conflict = upload(good);
  EXPECT_EQ(conflict.status, 409);
  EXPECT_EQ(conflict.json().at("metadata").at("conflict").at("device_type"), "d");
}

TEST_F(CloudTest, AnArtifactInUseIsNotDeleted) {
  const Answer stored = upload(testing::build_artifact({.name = "r"}));
  const std::string location(*stored.headers.find("Location"));
  const std::string id = location.substr(location.rfind('/') + 1);
  const std::string deployment_id = deploy("r", "anybody");
  EXPECT_EQ(manage("DELETE", "v1/deployments/artifacts/" + id).status, 409);
  manage("PUT", fmt::format("v1/deployments/deployments/{}/status", deployment_id),
         R"({"status":"aborted"})");
  EXPECT_EQ(manage("DELETE", "v1/deployments/artifacts/" + id).status, 204);
  EXPECT_EQ(manage("DELETE", "v1/deployments/artifacts/" + id).status, 404);
}

TEST_F(CloudTest, TheSameDeploymentIsNotMadeTwice) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  deploy("r", "x");
  const auto again = [&](std::string_view body) {
    return manage("POST", "v1/deployments/deployments", std::string(body)).status;
  };
  EXPECT_EQ(again(R"({"name":"n","artifact_name":"r","devices":["x"]})"), 409);
  EXPECT_EQ(again(R"({"name":"n","artifact_name":"s","devices":["x"]})"), 422);
  EXPECT_EQ(again(R"({"name":"n","artifact_name":"r","all_devices":true})"), 400);
  EXPECT_EQ(again(R"({"name":"n","artifact_name":"r"})"), 400);
  EXPECT_EQ(again(R"({"name":1,"artifact_name":"r","devices":["x"]})"), 400);
  EXPECT_EQ(again(R"({"name":"","artifact_name":"r","devices":["x"]})"), 400);
}

TEST_F(CloudTest, AcceptingANewKeyEndsTheOldOne) {
  const auto [id, old_token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const PrivateKey fresh = PrivateKey::generate(KeyType::ed25519);
  EXPECT_EQ(authenticate(fresh).status, 401);
  EXPECT_EQ(poll(old_token).status, 204) << "asking is not yet being let in";
  const auto device = manage("GET", "v2/devauth/devices/" + id).json();
  ASSERT_EQ(device.at("auth_sets").as_array().size(), 2);
  const std::string set(device.at("auth_sets").at(1).at("id").as_string());
  EXPECT_EQ(
      manage("PUT", fmt::format("v2/devauth/devices/{}/auth/{}/status", id, set), R"({"status":"accepted"})")
          .status,
      204);
  EXPECT_EQ(poll(old_token).status, 401);
  EXPECT_EQ(poll(authenticate(fresh).body).status, 204);
}

TEST_F(CloudTest, WhatIsInstalledAlreadyIsInstalledAgainOnlyByForce) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string plain = deploy("r", id);
  EXPECT_EQ(poll(token, "r").status, 204);
  EXPECT_EQ(deployment(plain).at("statistics").at("status").at("already-installed"), 1);
  ASSERT_EQ(
      manage(
          "POST", "v1/deployments/deployments",
          fmt::format(R"({{"name":"n","artifact_name":"r","devices":["{}"],"force_installation":true}})", id))
          .status,
      201);
  EXPECT_EQ(poll(token, "r").status, 200);
}

TEST_F(CloudTest, AnArtifactThatComesLaterJoinsTheUnfinishedDeploymentsOfItsName) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r", .device_types = {"other"}})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment_id = deploy("r", id);
  ASSERT_EQ(upload(testing::build_artifact({.name = "r", .device_types = {"d"}})).status, 201);
  EXPECT_EQ(deployment(deployment_id).at("artifacts").as_array().size(), 2);
  EXPECT_EQ(poll(token).status, 200);
}

TEST_F(CloudTest, AnUploadMayBringItsOwnIdOnce) {
  const std::string field =
      "Content-Disposition: form-data; "
      "name=\"artifact_id\"\r\n\r\n8ac7f6d3-3f52-4f4a-9c4b-2a54d8a0c111\r\n--B\r\n";
  EXPECT_EQ(upload(testing::build_artifact({.name = "r"}), field).status, 201);
  const Answer again = upload(testing::build_artifact({.name = "s"}), field);
  EXPECT_EQ(again.status, 409);
  EXPECT_FALSE(again.json().as_object().contains("metadata"));
  EXPECT_EQ(manage("GET", "v1/deployments/artifacts/8ac7f6d3-3f52-4f4a-9c4b-2a54d8a0c111").json().at("name"),
            "r");
}

TEST_F(CloudTest, WrongPasswordsAndLoggedOutTokensAreRefused) {
  EXPECT_EQ(ask("POST", "/api/management/v1/useradm/auth/login", "", basic("admin:wrong")).status, 401);
  EXPECT_EQ(ask("POST", "/api/management/v1/useradm/auth/login", "", basic("nobody:wrong")).status, 401);
  EXPECT_EQ(ask("POST", "/api/management/v1/useradm/auth/login", "", {}).status, 401);
  EXPECT_EQ(manage("POST", "v1/useradm/auth/logout").status, 202);
  EXPECT_EQ(manage("GET", "v2/devauth/devices").status, 401);
}

TEST_F(CloudTest, TheEleventhSessionEndsTheOldest) {
  for (std::size_t i = 0; i < Accounts::kSessionsMax; ++i) {
    EXPECT_EQ(manage("GET", "v2/devauth/devices").status, 200);
    loop_.advance(1s);
    ask("POST", "/api/management/v1/useradm/auth/login", "", basic("admin:correct horse"));
  }
  EXPECT_EQ(manage("GET", "v2/devauth/devices").status, 401);
}

TEST_F(CloudTest, PasswordsThatAreTooShortOrLikeTheNameAreRefused) {
  EXPECT_FALSE(loop_.run(app_->accounts().create("bob", "short")));
  EXPECT_FALSE(loop_.run(app_->accounts().create("bob@example", "bob@exam")));
  EXPECT_FALSE(loop_.run(app_->accounts().create("ADMIN", "long enough")));
  EXPECT_FALSE(loop_.run(app_->accounts().create("", "long enough")));
}

TEST_F(CloudTest, EverythingAnsweredIsThereAfterARestart) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  const auto [id, token] = accepted_device(PrivateKey::generate(KeyType::ed25519));
  const std::string deployment_id = deploy("r", id);
  ASSERT_EQ(poll(token).status, 200);
  stop();
  start();
  EXPECT_EQ(report(token, deployment_id, "downloading").status, 204);
  EXPECT_EQ(manage("GET", "v1/deployments/artifacts").json().as_array().size(), 1);
}

TEST_F(CloudTest, FilesWithoutARecordAreRemovedAtTheStart) {
  ASSERT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
  stop();
  auto directory = open_directory(directory_.path());
  ASSERT_TRUE((*directory)->create("half.upload"));
  ASSERT_TRUE((*directory)->create("orphan"));
  start();
  EXPECT_EQ((*directory)->list()->size(), 1);
}

TEST_F(CloudTest, AFullDatabaseRefusesOperatorsAndTellsDevicesToComeBack) {
  const PrivateKey key = PrivateKey::generate(KeyType::ed25519);
  database_.fail_commit(1, CommitFault::exhausted);
  EXPECT_EQ(authenticate(key).status, 500);
  EXPECT_EQ(authenticate(key).status, 401) << "and the next attempt is taken";
  database_.fail_commit(1, CommitFault::exhausted);
  EXPECT_EQ(upload(testing::build_artifact({.name = "r"})).status, 507);
  EXPECT_EQ(open_directory(directory_.path()).value()->list()->size(), 0);
  EXPECT_EQ(upload(testing::build_artifact({.name = "r"})).status, 201);
}

TEST_F(CloudTest, PagesOfDevicesCarryLinks) {
  for (const char* mac : {"1", "2", "3"}) authenticate(PrivateKey::generate(KeyType::ed25519), mac);
  const Answer page = manage("GET", "v2/devauth/devices?status=pending&page=2&per_page=1");
  EXPECT_EQ(page.json().as_array().size(), 1);
  EXPECT_THAT(page.headers.find_all("Link"),
              ::testing::ElementsAre(
                  "</api/management/v2/devauth/devices?status=pending&page=1&per_page=1>; rel=\"first\"",
                  "</api/management/v2/devauth/devices?status=pending&page=1&per_page=1>; rel=\"prev\"",
                  "</api/management/v2/devauth/devices?status=pending&page=3&per_page=1>; rel=\"next\""));
  for (const char* query :
       {"page=0", "page=x", "per_page=501", "per_page=18446744073709551617", "status=odd"}) {
    EXPECT_EQ(manage("GET", fmt::format("v2/devauth/devices?{}", query)).status, 400) << query;
  }
  EXPECT_EQ(manage("GET", "v2/devauth/devices/count?status=pending").json().at("count"), 3);
}

}  // namespace
}  // namespace postern::cloud
