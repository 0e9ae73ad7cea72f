// Gateways and sites: the whole cloud behind TLS, with the certificates of gateways.
#include "cloud/app_fixture.hpp"
#include "shared/crypto/certificate_builder.hpp"
#include "shared/testing/certificates.hpp"

namespace postern::cloud {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// A certificate with its key, both PEM.
struct Credentials {
  std::string certificate;
  std::string key;
};

/// An authority for gateways, and whom the cloud trusts because of it.
struct SitePki {
  Credentials issue(std::string name, std::string site, Duration life = std::chrono::days(800)) {
    CertificateSpec spec{.common_name = std::move(name),
                         .organizational_unit = std::move(site),
                         .usages = {CertificateUsage::tls_client},
                         .not_before = now - 24h,
                         .not_after = std::chrono::time_point_cast<WallTime::duration>(now + life)};
    const PrivateKey key = PrivateKey::generate(KeyType::ecdsa);
    return {make_certificate(spec, key.public_key(), ca, ca_key, random)->to_pem(), key.to_pem()};
  }
  AppOptions app_options() const {
    return {
        .public_url = "https://cloud:80",
        .tls = *TlsServerContext::make(
            {.certificate_chain_pem = server.certificate_pem,
             .private_key_pem = server.key_pem,
             .check_client = [trust = trust, at = now](
                                 std::span<const Certificate> chain) { return trust->check(chain, at); }}),
        .gateways = trust};
  }
  http::ClientOptions client_options(const Credentials& own = {}) const {
    return {.tls = *TlsClientContext::make({.trust_pem = server.certificate_pem,
                                            .certificate_chain_pem = own.certificate,
                                            .private_key_pem = own.key})};
  }

  const WallTime now = testing::FakeClock().wall();
  testing::SeededRandom random{11};
  PrivateKey ca_key = PrivateKey::generate(KeyType::ecdsa);
  Certificate ca = *make_self_signed({.common_name = "gateways",
                                      .usages = {CertificateUsage::tls_client},
                                      .is_ca = true,
                                      .not_before = now - 24h,
                                      .not_after = now + std::chrono::days(7000)},
                                     ca_key, random);
  std::shared_ptr<const GatewayTrust> trust =
      std::make_shared<const GatewayTrust>(ClientTrust::Options{.authorities = {ca}});
  testing::TestCertificate server = testing::self_signed("cloud");
};

class SiteTest : protected SitePki, public CloudTest {
 protected:
  SiteTest() : CloudTest(app_options(), client_options()) {
    add_gateway("gw-a", "alpha");
    add_gateway("gw-b", "beta");
  }

  /// A gateway, or a new certificate for it.
  void add_gateway(const std::string& name, const std::string& site, Duration life = std::chrono::days(800)) {
    connect(name, issue(name, site, life));
  }
  void connect(const std::string& name, const Credentials& own) {
    gateways_[name] = make_client(client_options(own));
  }
  /// What `request` returns when it is sent through a gateway.
  template <class F>
  auto through(const std::string& gateway, F request) {
    std::swap(client_, gateways_.at(gateway));
    auto result = request();
    std::swap(client_, gateways_.at(gateway));
    return result;
  }

  Answer authenticate_at(const std::string& gateway, const PrivateKey& key) {
    return through(gateway, [&] { return authenticate(key); });
  }
  int poll_at(const std::string& gateway, const std::string& token) {
    return through(gateway, [&] { return poll(token).status; });
  }
  Answer preauthorize_at(const std::string& gateway, const PrivateKey& key) {
    return through(gateway, [&] { return preauthorize(key); });
  }
  Answer preauthorize(const PrivateKey& key) {
    return ask("POST", "/api/gateways/v1/preauthorizations",
               json::serialize(json::object{{"identity_data", {{"mac", "00:01"}}},
                                            {"pubkey", key.public_key().to_pem()}}),
               {});
  }
  json::value only_device() { return manage("GET", "v2/devauth/devices").json().as_array().at(0); }
  json::value gateway(const std::string& name) { return manage("GET", "v1/gateways/" + name).json(); }
  std::uint64_t writes() const { return database_.stats().writes; }
  int set_status(std::size_t set, std::string_view status) {
    const auto device = only_device();
    return manage("PUT",
                  fmt::format("v2/devauth/devices/{}/auth/{}/status", device.at("id").as_string().c_str(),
                              device.at("auth_sets").as_array().at(set).at("id").as_string().c_str()),
                  fmt::format(R"({{"status":"{}"}})", status))
        .status;
  }

  std::map<std::string, std::unique_ptr<http::Client>> gateways_;
  const PrivateKey key_ = PrivateKey::generate(KeyType::ed25519);
  const PrivateKey other_key_ = PrivateKey::generate(KeyType::ed25519);
};

TEST_F(SiteTest, AGatewayIsKnownFromItsFirstRequestOn) {
  EXPECT_EQ(manage("GET", "v1/gateways").body, "[]");
  const Credentials own = issue("gw-c", "gamma");
  connect("gw-c", own);
  authenticate_at("gw-c", key_);
  const Certificate certificate = *Certificate::from_pem(own.certificate);
  const auto shown = manage("GET", "v1/gateways").json().at(0);
  EXPECT_EQ(shown.at("name"), "gw-c");
  EXPECT_EQ(shown.at("site"), "gamma");
  EXPECT_EQ(shown.at("certificate").at("subject"), "CN=gw-c,OU=gamma");
  EXPECT_EQ(shown.at("certificate").at("issuer"), "CN=gateways");
  EXPECT_EQ(shown.at("certificate").at("serial"), json::value(certificate.serial()));
  EXPECT_EQ(shown.at("certificate").at("fingerprint"), json::value(to_hex(certificate.fingerprint())));
  EXPECT_EQ(shown.at("certificate").at("expires"), json::value(to_rfc3339(certificate.not_after())));
  EXPECT_EQ(shown.at("first_seen"), json::value(to_rfc3339(loop_.clock().wall())));
  EXPECT_EQ(shown.at("device_count"), 1);
  EXPECT_EQ(log_.count("gateway.appeared"), 1);
}

TEST_F(SiteTest, AGatewayWithoutAUnitServesASiteOfItsOwnName) {
  add_gateway("gw-c", "");
  authenticate_at("gw-c", key_);
  EXPECT_EQ(gateway("gw-c").at("site"), "gw-c");
}

TEST_F(SiteTest, ARenewedCertificateIsTheSameGateway) {
  authenticate_at("gw-a", key_);
  const auto before = gateway("gw-a");
  add_gateway("gw-a", "alpha-2");
  authenticate_at("gw-a", key_);
  const auto after = gateway("gw-a");
  EXPECT_EQ(after.at("id"), before.at("id"));
  EXPECT_EQ(after.at("site"), "alpha-2");
  EXPECT_NE(after.at("certificate").at("serial"), before.at("certificate").at("serial"));
  EXPECT_EQ(log_.count("gateway.changed"), 1);
}

TEST_F(SiteTest, TheVersionIsThatOfTheGatewayAndNoneOfItsDevices) {
  const auto request_from = [&](std::string agent) {
    through("gw-a", [&] {
      return ask("POST", "/api/gateways/v1/preauthorizations", "{}", {{"User-Agent", std::move(agent)}});
    });
  };
  request_from("Mender/5.1.0");
  EXPECT_EQ(gateway("gw-a").at("version"), "");
  request_from("postern-gateway/0.2.0 (linux)");
  request_from("Mender/5.1.0");
  EXPECT_EQ(gateway("gw-a").at("version"), "0.2.0");
}

TEST_F(SiteTest, SeeingAGatewayAgainIsStoredOnceAMinute) {
  authenticate_at("gw-a", key_);
  const std::uint64_t before = writes();
  for (int i = 0; i < 5; ++i) {
    loop_.advance(10s);
    authenticate_at("gw-a", key_);
  }
  EXPECT_EQ(writes(), before);
  EXPECT_EQ(gateway("gw-a").at("last_seen"), json::value(to_rfc3339(loop_.clock().wall())));
  loop_.advance(10s);
  authenticate_at("gw-a", key_);
  EXPECT_EQ(writes(), before + 1);
}

TEST_F(SiteTest, AnOrderlyEndKeepsWhenAGatewayWasSeen) {
  authenticate_at("gw-a", key_);
  loop_.advance(30s);
  authenticate_at("gw-a", key_);
  const auto seen = gateway("gw-a").at("last_seen");
  gateways_.clear();
  stop();
  start();
  EXPECT_EQ(gateway("gw-a").at("last_seen"), seen);
}

TEST_F(SiteTest, AStrangersCertificateCountsAsNone) {
  const testing::TestCertificate stranger = testing::self_signed("gw-a");
  connect("stranger", {stranger.certificate_pem, stranger.key_pem});
  EXPECT_EQ(authenticate_at("stranger", key_).status, 401);
  EXPECT_EQ(only_device().at("site"), "");
  const Answer refused = preauthorize_at("stranger", other_key_);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, "");
  EXPECT_EQ(manage("GET", "v1/gateways").body, "[]");
}

TEST_F(SiteTest, AGatewayWhoseCertificateHasExpiredIsHeardNoMore) {
  add_gateway("gw-c", "gamma", 1h);
  EXPECT_EQ(preauthorize_at("gw-c", key_).status, 201);
  const std::string token = authenticate_at("gw-c", key_).body;
  EXPECT_EQ(poll_at("gw-c", token), 204);
  loop_.advance(2h);
  EXPECT_EQ(preauthorize_at("gw-c", other_key_).status, 401);
  EXPECT_EQ(poll_at("gw-c", token), 401);
  EXPECT_EQ(poll(token).status, 204);
}

TEST_F(SiteTest, ADeviceIsWhereItsLastRequestCameFrom) {
  const auto [id, token] = accepted_device(key_);
  EXPECT_EQ(only_device().at("site"), "");
  EXPECT_EQ(only_device().at("gateway"), "");
  EXPECT_FALSE(only_device().as_object().contains("previous_site"));
  const WallTime first = loop_.clock().wall();
  loop_.advance(1h);
  EXPECT_EQ(poll_at("gw-a", token), 204);
  const auto moved = only_device();
  EXPECT_EQ(moved.at("site"), "alpha");
  EXPECT_EQ(moved.at("gateway"), "gw-a");
  EXPECT_EQ(moved.at("first_seen"), json::value(to_rfc3339(first)));
  EXPECT_EQ(moved.at("site_since"), json::value(to_rfc3339(first + 1h)));
  EXPECT_EQ(moved.at("previous_site"), "");
  EXPECT_EQ(moved.at("moved_ts"), json::value(to_rfc3339(first + 1h)));
  EXPECT_EQ(poll_at("gw-b", token), 204);
  EXPECT_EQ(only_device().at("previous_site"), "alpha");
  EXPECT_EQ(poll(token).status, 204);
  EXPECT_EQ(only_device().at("site"), "");
  EXPECT_EQ(log_.count("device.moved"), 3);
  EXPECT_THAT(log_.lines(), ::testing::Contains(HasSubstr("from=alpha to=beta gateway=gw-b")));
}

TEST_F(SiteTest, ADeviceThatStaysWritesNothing) {
  const auto [id, token] = accepted_device(key_);
  poll_at("gw-a", token);
  const std::uint64_t before = writes();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(poll_at("gw-a", token), 204);
  EXPECT_EQ(authenticate_at("gw-a", key_).status, 200);
  EXPECT_EQ(writes(), before);
}

TEST_F(SiteTest, AnAuthRequestOfAnAcceptedDeviceMovesIt) {
  accepted_device(key_);
  EXPECT_EQ(authenticate_at("gw-a", key_).status, 200);
  EXPECT_EQ(only_device().at("site"), "alpha");
  EXPECT_EQ(log_.count("device.moved"), 1);
}

TEST_F(SiteTest, AGatewayThatStandsInForAnotherIsNoMove) {
  add_gateway("gw-a2", "alpha");
  const auto [id, token] = accepted_device(key_);
  poll_at("gw-a", token);
  EXPECT_EQ(poll_at("gw-a2", token), 204);
  EXPECT_EQ(only_device().at("gateway"), "gw-a2");
  EXPECT_EQ(log_.count("device.moved"), 1);
}

TEST_F(SiteTest, APendingDeviceShowsWhereItAskedFirst) {
  EXPECT_EQ(authenticate_at("gw-a", key_).status, 401);
  EXPECT_EQ(only_device().at("site"), "alpha");
  EXPECT_EQ(authenticate_at("gw-b", other_key_).status, 401);
  EXPECT_EQ(only_device().at("site"), "alpha") << "whoever has another key does not move it";
}

TEST_F(SiteTest, AGatewayLetsItsDevicesIn) {
  EXPECT_EQ(preauthorize_at("gw-a", key_).status, 201);
  EXPECT_EQ(only_device().at("status"), "preauthorized");
  EXPECT_EQ(only_device().at("site"), nullptr);
  EXPECT_EQ(preauthorize_at("gw-a", key_).status, 204);
  EXPECT_EQ(authenticate_at("gw-a", key_).status, 200);
  EXPECT_EQ(only_device().at("status"), "accepted");
  EXPECT_EQ(only_device().at("site"), "alpha");
  const std::uint64_t before = writes();
  EXPECT_EQ(preauthorize_at("gw-a", key_).status, 204);
  EXPECT_EQ(preauthorize_at("gw-b", key_).status, 204) << "the same key is no conflict anywhere";
  EXPECT_EQ(writes(), before + 1) << "gw-b is new, and nothing else";
  EXPECT_EQ(only_device().at("status"), "accepted");
  EXPECT_EQ(log_.count("gateway.preauthorization_decided"), 4);
}

TEST_F(SiteTest, OnlyGatewaysPreauthorizeAtTheirRoute) {
  const Answer refused = preauthorize(key_);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, "");
  EXPECT_EQ(manage("GET", "v2/devauth/devices").body, "[]");
}

TEST_F(SiteTest, AGatewayFindsAnArtifactByNameAndByIdAndFetchesIt) {
  const std::string content = testing::build_artifact({.name = "rel-1"});
  ASSERT_EQ(upload(content).status, 201);
  const Answer found =
      through("gw-a", [&] { return ask("GET", "/api/gateways/v1/artifacts?name=rel-1", "", {}); });
  ASSERT_EQ(found.status, 200) << found.body;
  ASSERT_EQ(found.json().as_array().size(), 1U);
  const auto artifact = found.json().at(0);
  EXPECT_EQ(artifact.at("name"), "rel-1");
  EXPECT_EQ(artifact.at("size"), content.size());
  EXPECT_EQ(artifact.at("sha256"), json::value(to_hex(sha256(as_bytes(content)))));
  const std::string by_id =
      fmt::format("/api/gateways/v1/artifacts/{}", artifact.at("id").as_string().c_str());
  const auto same = through("gw-a", [&] { return ask("GET", by_id, "", {}); }).json();
  EXPECT_EQ(same.at("sha256"), artifact.at("sha256"));
  const std::string link(same.at("uri").as_string());
  EXPECT_EQ(ask("GET", link, "", {}).body, content) << "the link is enough";
  EXPECT_EQ(ask("GET", link, "", {{"Range", "bytes=1-4"}}).body, content.substr(1, 4));
  EXPECT_EQ(ask("GET", link + "0", "", {}).status, 403);
  EXPECT_THAT(log_.lines(), ::testing::Contains(HasSubstr("download.served")));
}

TEST_F(SiteTest, ALinkOfAGatewayEndsForGood) {
  upload(testing::build_artifact({.name = "rel-1"}));
  const auto found =
      through("gw-a", [&] { return ask("GET", "/api/gateways/v1/artifacts?name=rel-1", "", {}); }).json();
  const std::string link(found.at(0).at("uri").as_string());
  loop_.advance(25h);
  EXPECT_EQ(ask("GET", link, "", {}).status, 403);
}

TEST_F(SiteTest, OnlyGatewaysFindArtifactsAtTheirRouteAndOnlyThoseThatAreThere) {
  upload(testing::build_artifact({.name = "rel-1"}));
  EXPECT_EQ(ask("GET", "/api/gateways/v1/artifacts?name=rel-1", "", {}).status, 401);
  const auto status = [&](const std::string& target) {
    return through("gw-a", [&] { return ask("GET", "/api/gateways/v1/artifacts" + target, "", {}); });
  };
  EXPECT_EQ(status("?name=rel").body, "[]");
  EXPECT_EQ(status("").status, 400);
  EXPECT_EQ(status("?name=%00").status, 400);
  EXPECT_EQ(status("/0a31c2d4-5b7e-4c11-9d7a-0e4f6b1c2d3e").status, 404);
}

TEST_F(SiteTest, MalformedPreauthorizationsAreRefused) {
  for (const char* body :
       {"", "{", "[]", "{}", R"({"identity_data":{},"pubkey":"x"})", R"({"identity_data":{"a":"b"}})",
        R"({"identity_data":{"a":"b"},"pubkey":1})", R"({"identity_data":{"a":"b"},"pubkey":"no PEM"})"}) {
    const Answer refused =
        through("gw-a", [&] { return ask("POST", "/api/gateways/v1/preauthorizations", body, {}); });
    EXPECT_EQ(refused.status, 400) << body;
    EXPECT_TRUE(refused.json().as_object().contains("error")) << body;
  }
}

TEST_F(SiteTest, AGatewayRenewsTheKeyOfItsOwnDevice) {
  preauthorize_at("gw-a", key_);
  const std::string token = authenticate_at("gw-a", key_).body;
  EXPECT_EQ(preauthorize_at("gw-a", other_key_).status, 201);
  EXPECT_EQ(poll_at("gw-a", token), 204) << "until the new key is used";
  EXPECT_EQ(authenticate_at("gw-a", other_key_).status, 200);
  EXPECT_EQ(poll_at("gw-a", token), 401);
}

TEST_F(SiteTest, AKeyThatAnOperatorRejectedStaysOut) {
  authenticate_at("gw-a", key_);
  ASSERT_EQ(set_status(0, "rejected"), 204);
  const Answer refused = preauthorize_at("gw-a", key_);
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.json().at("reason"), "rejected");
  EXPECT_EQ(authenticate_at("gw-a", key_).status, 401);
}

TEST_F(SiteTest, AGatewayCannotTakeADeviceThatIsAcceptedDirectly) {
  const auto [id, token] = accepted_device(key_);
  const Answer refused = preauthorize_at("gw-a", other_key_);
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.json().at("reason"), "conflict");
  EXPECT_THAT(refused.json().at("error").as_string().c_str(), HasSubstr("accepted elsewhere"));
  const auto device = only_device();
  EXPECT_EQ(device.at("status"), "accepted");
  EXPECT_EQ(device.at("conflict").at("site"), "alpha");
  EXPECT_EQ(device.at("conflict").at("gateway"), "gw-a");
  EXPECT_EQ(device.at("conflict").at("at"), json::value(to_rfc3339(loop_.clock().wall())));
  EXPECT_EQ(device.at("conflict").at("auth_set"), device.at("auth_sets").at(1).at("id"));
  EXPECT_EQ(device.at("auth_sets").at(1).at("status"), "pending");
  EXPECT_EQ(authenticate_at("gw-a", other_key_).status, 401);
  EXPECT_EQ(only_device().at("auth_sets").as_array().size(), 2) << "its auth request finds the set";
  EXPECT_EQ(poll(token).status, 204);
}

TEST_F(SiteTest, AGatewayCannotTakeADeviceOfAnotherSite) {
  preauthorize_at("gw-a", key_);
  const std::string token = authenticate_at("gw-a", key_).body;
  EXPECT_EQ(preauthorize_at("gw-b", other_key_).json().at("reason"), "conflict");
  EXPECT_EQ(authenticate_at("gw-b", other_key_).status, 401);
  EXPECT_EQ(poll_at("gw-a", token), 204);
  EXPECT_EQ(only_device().at("site"), "alpha");
}

TEST_F(SiteTest, AConflictThatIsToldAgainWritesNothing) {
  accepted_device(key_);
  preauthorize_at("gw-a", other_key_);
  const std::uint64_t before = writes();
  EXPECT_EQ(preauthorize_at("gw-a", other_key_).status, 409);
  EXPECT_EQ(writes(), before);
}

TEST_F(SiteTest, AnOperatorSettlesAConflictEitherWay) {
  for (const char* status : {"rejected", "accepted"}) {
    if (manage("GET", "v2/devauth/devices").body == "[]") accepted_device(key_);
    const PrivateKey asked = PrivateKey::generate(KeyType::ed25519);
    ASSERT_EQ(preauthorize_at("gw-a", asked).status, 409);
    ASSERT_TRUE(only_device().as_object().contains("conflict"));
    ASSERT_EQ(set_status(only_device().at("auth_sets").as_array().size() - 1, status), 204);
    EXPECT_FALSE(only_device().as_object().contains("conflict")) << status;
    EXPECT_EQ(authenticate_at("gw-a", asked).status, std::string_view(status) == "accepted" ? 200 : 401);
  }
  EXPECT_EQ(only_device().at("site"), "alpha");
}

TEST_F(SiteTest, DismissingTheKeySettlesAConflict) {
  const auto [id, token] = accepted_device(key_);
  preauthorize_at("gw-a", other_key_);
  const std::string set(only_device().at("conflict").at("auth_set").as_string());
  EXPECT_EQ(manage("DELETE", fmt::format("v2/devauth/devices/{}/auth/{}", id, set)).status, 204);
  EXPECT_FALSE(only_device().as_object().contains("conflict"));
}

TEST_F(SiteTest, APreauthorizationIsVoidOnceTheDeviceIsAcceptedElsewhere) {
  EXPECT_EQ(preauthorize_at("gw-a", key_).status, 201);
  EXPECT_EQ(preauthorize_at("gw-b", other_key_).status, 201);
  const std::string token = authenticate_at("gw-a", key_).body;
  EXPECT_EQ(authenticate_at("gw-b", other_key_).status, 401);
  EXPECT_EQ(only_device().at("conflict").at("gateway"), "gw-b");
  EXPECT_EQ(only_device().at("auth_sets").at(1).at("status"), "pending");
  EXPECT_EQ(poll_at("gw-a", token), 204);
}

TEST_F(SiteTest, AGatewaysPreauthorizationCountsAtItsSiteOnly) {
  EXPECT_EQ(preauthorize_at("gw-a", key_).status, 201);
  EXPECT_EQ(authenticate(key_).status, 401);
  EXPECT_EQ(only_device().at("status"), "pending");
  EXPECT_EQ(preauthorize_at("gw-a", key_).status, 201);
  EXPECT_EQ(authenticate_at("gw-a", key_).status, 200);
}

TEST_F(SiteTest, AnAuthRequestAloneGivesAGatewayNoClaimToADevice) {
  authenticate_at("gw-b", other_key_);  // before the device itself comes
  authenticate_at("gw-a", key_);
  ASSERT_EQ(only_device().at("site"), "beta");
  ASSERT_EQ(set_status(1, "accepted"), 204);
  EXPECT_EQ(preauthorize_at("gw-b", other_key_).status, 409);
  EXPECT_EQ(authenticate_at("gw-a", key_).status, 200);
  EXPECT_EQ(only_device().at("site"), "alpha");
}

TEST_F(SiteTest, WhatAnOperatorPreauthorizedIsLetInAnywhere) {
  const std::string body = json::serialize(
      json::object{{"identity_data", {{"mac", "00:01"}}}, {"pubkey", key_.public_key().to_pem()}});
  ASSERT_EQ(manage("POST", "v2/devauth/devices", body).status, 201);
  EXPECT_EQ(preauthorize_at("gw-a", key_).status, 204);
  EXPECT_EQ(authenticate_at("gw-b", key_).status, 200);
  EXPECT_EQ(only_device().at("site"), "beta");
}

TEST_F(SiteTest, GatewaysAreListedInPagesAndFoundByIdAndName) {
  preauthorize_at("gw-b", key_);
  preauthorize_at("gw-a", key_);
  const Answer page = manage("GET", "v1/gateways?per_page=1&page=2");
  EXPECT_EQ(page.json().as_array().size(), 1);
  EXPECT_EQ(page.json().at(0).at("name"), "gw-b");
  EXPECT_EQ(page.headers.find("X-Total-Count"), "2");
  EXPECT_EQ(gateway(page.json().at(0).at("id").as_string().c_str()), page.json().at(0));
  EXPECT_EQ(gateway("gw-b"), page.json().at(0));
  EXPECT_EQ(manage("GET", "v1/gateways/gw-c").status, 404);
  EXPECT_EQ(manage("GET", "v1/gateways?page=0").status, 400);
  EXPECT_EQ(ask("GET", "/api/management/v1/gateways", "", {}).status, 401);
}

TEST_F(SiteTest, DevicesAreListedByTheirGateway) {
  const auto [id, token] = accepted_device(key_);
  poll_at("gw-a", token);
  poll_at("gw-b", token);
  const auto at = [&](const std::string& name) {
    return manage("GET", "v2/devauth/devices?gateway=" + std::string(gateway(name).at("id").as_string()))
        .json();
  };
  EXPECT_EQ(at("gw-b").as_array().size(), 1);
  EXPECT_EQ(at("gw-a"), json::array());
  EXPECT_EQ(gateway("gw-b").at("device_count"), 1);
  EXPECT_EQ(gateway("gw-a").at("device_count"), 0);
  EXPECT_EQ(manage("GET", "v2/devauth/devices?gateway=nobody").body, "[]");
  EXPECT_EQ(manage("DELETE", "v2/devauth/devices/" + id).status, 204);
  EXPECT_EQ(gateway("gw-b").at("device_count"), 0);
}

TEST_F(SiteTest, TheEndOfADownloadIsLoggedWithItsGateway) {
  const std::string artifact = testing::build_artifact({.name = "r"});
  ASSERT_EQ(upload(artifact).status, 201);
  const auto [id, token] = accepted_device(key_);
  const std::string deployment_id = deploy("r", id);
  const std::string link = link_of(poll(token));
  EXPECT_EQ(ask("GET", link, "", {}).body.size(), artifact.size());
  EXPECT_EQ(ask("HEAD", link, "", {}).status, 200);
  through("gw-a", [&] { return ask("GET", link, "", {{"Range", "bytes=100-"}}); });
  std::vector<std::string> served;
  for (const std::string& line : log_.lines()) {
    if (line.starts_with("download.served ")) served.push_back(line);
  }
  ASSERT_EQ(served.size(), 2);
  EXPECT_THAT(served[0], HasSubstr("deployment=" + deployment_id));
  EXPECT_THAT(served[0], HasSubstr(fmt::format("first=0 size_bytes={} complete=true", artifact.size())));
  EXPECT_THAT(served[1],
              HasSubstr(fmt::format("first=100 size_bytes={} complete=true", artifact.size() - 100)));
  EXPECT_THAT(served[1], HasSubstr("gateway=gw-a"));
}

TEST_F(SiteTest, ADownloadThatIsCutIsLoggedWithWhatWasTaken) {
  const std::string artifact = testing::build_artifact(
      {.name = "r", .files = {{.name = "f", .content = std::string(4 << 20, 'x')}}, .data_suffix = ""});
  ASSERT_EQ(upload(artifact).status, 201);
  const auto [id, token] = accepted_device(key_);
  deploy("r", id);
  const std::string link = link_of(poll(token));
  {
    http::Request request;
    request.method = "GET";
    auto response = loop_.run(client_->send(*http::Url::parse(link), std::move(request)));
    ASSERT_TRUE(response);
    ASSERT_TRUE(loop_.run(response->body->next()));
  }
  network_.cut_all();
  loop_.settle();
  const auto lines = log_.lines();
  const auto line = std::ranges::find_if(
      lines, [](const std::string& each) { return each.starts_with("download.served "); });
  ASSERT_NE(line, lines.end());
  EXPECT_THAT(*line, HasSubstr("complete=false"));
}

}  // namespace
}  // namespace postern::cloud
