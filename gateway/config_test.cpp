#include "gateway/config.hpp"

#include "shared/io/file.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

class GatewayConfigTest : public ::testing::Test {
 protected:
  Result<Config> load(std::string_view text) {
    const std::string path = directory_.path() + "/mender-gateway.conf";
    EXPECT_TRUE(write_file(path, text, 0600, Existing::replace));
    return load_config(
        path,
        [this](std::string_view name) -> std::optional<std::string> {
          const auto found = environment_.find(std::string(name));
          if (found == environment_.end()) return std::nullopt;
          return found->second;
        },
        log_);
  }

  testing::TemporaryDirectory directory_;
  std::map<std::string, std::string> environment_;
  NullLog log_;
};

constexpr std::string_view kFull = R"({
  "HTTPS": {"Enabled": true, "Listen": ":443", "ServerCertificate": "c", "ServerKey": "k", "MinimumTLSVersion": "1.3"},
  "UpstreamServer": {"URL": "https://hosted.example", "CACertificate": "ca"},
  "Features": {
    "ArtifactsProxy": {"Enabled": true, "GatewayURL": "https://gateway.plant/", "DomainWhitelist": ["s3.example"],
                       "ArtifactsCache": {"Enabled": true, "Path": "/cache", "LinkExpireDuration": "30m"}},
    "mTLS": {"Enabled": true, "CACertificate": "d", "MenderUsername": "u", "MenderPassword": "p"},
    "DeviceSystem": {"Enabled": true, "SystemID": "s", "DefaultInventory": [{"Name": "hall", "Value": "4"}]}
  },
  "Postern": {"Binding": {"Rebinding": "same-key"}}
})";

TEST_F(GatewayConfigTest, IsReadFromTheFile) {
  const auto config = load(kFull);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_TRUE(check_complete(*config));
  EXPECT_EQ(config->gateway_url, "https://gateway.plant");
  EXPECT_EQ(config->link_lifetime, 30min);
  EXPECT_EQ(config->domain_whitelist, std::vector<std::string>{"s3.example"});
  EXPECT_EQ(config->default_inventory.at(0).name, "hall");
  EXPECT_EQ(config->rebinding, Rebinding::same_key);
  EXPECT_EQ(config->minimum_tls_version, "1.3");
}

TEST_F(GatewayConfigTest, IsOverruledByTheEnvironment) {
  environment_ = {{"UPSTREAM_SERVER_URL", "https://other.example"},
                  {"ARTIFACTS_PROXY_CACHE_LINK_EXPIRE_DURATION", "1h"},
                  {"ARTIFACTS_PROXY_DOMAIN_WHITELIST", "a.example b.example"},
                  {"MTLS_ENABLED", "false"}};
  const auto config = load(kFull);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->upstream_url, "https://other.example");
  EXPECT_EQ(config->link_lifetime, 1h);
  EXPECT_EQ(config->domain_whitelist, (std::vector<std::string>{"a.example", "b.example"}));
  EXPECT_FALSE(config->mtls);
}

TEST_F(GatewayConfigTest, NamesWhatIsMissing) {
  const auto problem = [&](std::string_view text) { return check_complete(*load(text)).error().what; };
  EXPECT_THAT(problem("{}"), ::testing::HasSubstr("UpstreamServer.URL"));
  EXPECT_THAT(problem(R"({"UpstreamServer":{"URL":"https://x"}})"), ::testing::HasSubstr("HTTPS.Enabled"));
  EXPECT_THAT(problem(R"({"UpstreamServer":{"URL":"https://x"},"HTTPS":{"Enabled":true}})"),
              ::testing::HasSubstr("HTTPS.ServerCertificate"));
  EXPECT_THAT(
      problem(
          R"({"UpstreamServer":{"URL":"https://x"},"HTTP":{"Enabled":true},"Features":{"mTLS":{"Enabled":true}}})"),
      ::testing::HasSubstr("Features.mTLS.CACertificate"));
}

TEST_F(GatewayConfigTest, RefusesBrokenTlsVersionsAndUnknownPolicies) {
  EXPECT_THAT(load(R"({"HTTPS":{"MinimumTLSVersion":"1.0"}})").error().what,
              ::testing::HasSubstr("1.2 or 1.3"));
  EXPECT_THAT(load(R"({"Postern":{"Binding":{"Rebinding":"never"}}})").error().what,
              ::testing::HasSubstr("same-key, same-subject, approved or any"));
}

TEST_F(GatewayConfigTest, ReadsTheBoundsOfTraffic) {
  const auto config = load(R"({"Postern": {"Traffic": {
      "Uplink": "Mon-Fri 06:00-22:00 2 Mbit/s, else 20 Mbit/s", "Site": "1 Gbit/s", "TimeZone": "Europe/Berlin",
      "DownloadsMax": 0, "ConnectionsMax": 500, "HandshakesMax": 8}}})");
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_FALSE(config->uplink_calendar.is_constant());
  EXPECT_EQ(config->site_calendar.rate_at({}).to_string(), "1 Gbit/s");
  EXPECT_EQ(config->time_zone, "Europe/Berlin");
  EXPECT_EQ(config->downloads_max, 0U);
  EXPECT_EQ(config->connections_max, 500U);
  EXPECT_EQ(config->handshakes_max, 8U);
}

TEST_F(GatewayConfigTest, SaysWhereACalendarIsWrong) {
  const auto config = load(R"({"Postern": {"Traffic": {"Uplink": "Mon-Fri 2 Mb/s"}}})");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().what, ::testing::HasSubstr("Postern.Traffic.Uplink"));
  EXPECT_THAT(config.error().what, ::testing::HasSubstr("column 11"));
}

TEST_F(GatewayConfigTest, NamesAuthoritiesAndListsByOnePathOrMany) {
  const auto one = load(R"({"Postern": {"mTLS": {"CACertificates": "a", "CRL": "/etc/crls"}}})");
  ASSERT_TRUE(one) << one.error().what;
  EXPECT_EQ(one->device_cas, std::vector<std::string>{"a"});
  EXPECT_EQ(one->device_crls, std::vector<std::string>{"/etc/crls"});
  environment_ = {{"POSTERN_GATEWAY_MTLS_CRL", "x.crl,y.crl"}};
  const auto many = load(R"({"Postern": {"mTLS": {"CACertificates": ["a", "b"], "CRL": "z.crl"}}})");
  ASSERT_TRUE(many) << many.error().what;
  EXPECT_EQ(many->device_cas, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(many->device_crls, (std::vector<std::string>{"x.crl", "y.crl"}));
  environment_.clear();
  EXPECT_FALSE(load(R"({"Postern": {"mTLS": {"CRL": 1}}})"));
}

}  // namespace
}  // namespace postern::gateway
