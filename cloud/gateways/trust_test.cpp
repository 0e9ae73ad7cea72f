#include "cloud/gateways/trust.hpp"

#include "shared/crypto/certificate_builder.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cloud {
namespace {

using std::chrono::days;
using ::testing::HasSubstr;

class GatewayTrustTest : public ::testing::Test {
 protected:
  Certificate issue(const std::string& name, const std::string& site,
                    CertificateUsage usage = CertificateUsage::tls_client) {
    return *make_certificate({.common_name = name,
                              .organizational_unit = site,
                              .usages = {usage},
                              .not_before = now_,
                              .not_after = now_ + days(10)},
                             PrivateKey::generate(KeyType::ed25519).public_key(), ca_, ca_key_, random_);
  }
  std::string file(const std::string& name, std::string_view text) {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_file(path, text, 0600, Existing::replace));
    return path;
  }
  std::string crl(std::vector<RevokedSerial> revoked) {
    return *make_revocation_list(
        {.number = 1, .this_update = now_, .next_update = now_ + days(5), .revoked = std::move(revoked)}, ca_,
        ca_key_);
  }
  std::string ca_file() { return file("ca.crt", ca_.to_pem()); }
  std::shared_ptr<const GatewayTrust> load(const std::string& crl_path = "") {
    return GatewayTrust::load(ca_file(), crl_path, now_, log_).value();
  }
  std::optional<ClientRefusal> check(const GatewayTrust& trust, const Certificate& leaf, days after) {
    return trust.check(std::span(&leaf, 1), now_ + after);
  }

  testing::TemporaryDirectory directory_;
  testing::MemoryLog log_;
  testing::SeededRandom random_{5};
  const WallTime now_ = testing::FakeClock().wall();
  const PrivateKey ca_key_ = PrivateKey::generate(KeyType::ed25519);
  const Certificate ca_ = *make_self_signed({.common_name = "gateways",
                                             .usages = {CertificateUsage::tls_client},
                                             .is_ca = true,
                                             .not_before = now_,
                                             .not_after = now_ + days(100)},
                                            ca_key_, random_);
};

TEST_F(GatewayTrustTest, TakesTheSiteFromTheUnitElseFromTheName) {
  EXPECT_EQ(name_gateway(issue("gw", "plant"))->site, "plant");
  EXPECT_EQ(name_gateway(issue("gw", ""))->site, "gw");
}

TEST_F(GatewayTrustTest, ChecksTheCertificatesOfItsAuthorities) {
  const auto trust = load();
  const Certificate gateway = issue("gw", "");
  EXPECT_FALSE(check(*trust, gateway, days(1)));
  EXPECT_TRUE(trust->is_gateway(gateway));
  EXPECT_EQ(check(*trust, gateway, days(11))->fault, ClientFault::expired);
  EXPECT_EQ(check(*trust, issue("gw", "", CertificateUsage::tls_server), days(1))->fault,
            ClientFault::unusable);
}

TEST_F(GatewayTrustTest, LetsStrangersInAsStrangers) {
  const PrivateKey key = PrivateKey::generate(KeyType::ed25519);
  const Certificate stranger =
      *make_self_signed({.common_name = "gw", .not_before = now_, .not_after = now_ + days(1)}, key, random_);
  EXPECT_FALSE(check(*load(), stranger, days(0)));
  EXPECT_FALSE(load()->is_gateway(stranger));
}

TEST_F(GatewayTrustTest, RefusesWhatIsRevoked) {
  const Certificate gateway = issue("gw", "");
  const auto trust = load(file("ca.crl", crl({{.serial = gateway.serial(), .revoked_at = now_}})));
  EXPECT_EQ(check(*trust, gateway, days(1))->fault, ClientFault::revoked);
}

TEST_F(GatewayTrustTest, WarnsOfAListThatShouldHaveBeenReplaced) {
  const std::string path = file("ca.crl", crl({}));
  ASSERT_TRUE(GatewayTrust::load(ca_file(), path, now_ + days(4), log_));
  EXPECT_EQ(log_.count("gateway.crl_stale"), 0);
  ASSERT_TRUE(GatewayTrust::load(ca_file(), path, now_ + days(6), log_));
  EXPECT_EQ(log_.count("gateway.crl_stale"), 1);
}

TEST_F(GatewayTrustTest, NamesTheFileThatWillNotDo) {
  const auto error = [&](const std::string& ca, const std::string& list) {
    const auto loaded = GatewayTrust::load(ca, list, now_, log_);
    return loaded ? "" : loaded.error().what;
  };
  const std::string missing = directory_.path() + "/missing";
  const std::string broken = file("broken", "no PEM");
  EXPECT_THAT(error(missing, ""), HasSubstr(missing));
  EXPECT_THAT(error(broken, ""), HasSubstr(broken));
  EXPECT_THAT(error(ca_file(), missing), HasSubstr(missing));
  EXPECT_THAT(error(ca_file(), broken), HasSubstr(broken));
}

}  // namespace
}  // namespace postern::cloud
