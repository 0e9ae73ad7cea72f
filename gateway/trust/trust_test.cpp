#include "gateway/trust/trust.hpp"

#include "gateway/trust/fake_files.hpp"
#include "gateway/trust/test_authority.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

class TrustTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.mtls = true;
    config_.https.enabled = true;
    config_.device_ca = "ca";
    config_.device_crls = {"crl"};
    config_.blacklist_path = "serials";
    config_.server_certificate = "server.crt";
    config_.server_key = "server.key";
    files_.write("ca", devices_.ca().to_pem());
    files_.write("crl", devices_.crl({}));
    files_.write("serials", "# none\n");
    write_server(server_key_, "gateway");
    trust_ = Trust::load(config_, files_, loop_.clock(), log_).value();
  }

  void write_server(const PrivateKey& key, const std::string& name, Duration lifetime = days(90)) {
    files_.write("server.crt", devices_.issue_for(name, key, lifetime).to_pem());
    files_.write("server.key", key.to_pem());
  }
  /// Time passes, with a look each second; how often connections had to be checked.
  int pass(int seconds, bool all = false) {
    int checks = 0;
    for (int i = 0; i < seconds; ++i) {
      loop_.advance(1s);
      checks += trust_->look(std::exchange(all, false)) ? 1 : 0;
    }
    return checks;
  }
  bool ends(const Certificate& leaf) { return trust_->should_end(std::array{leaf}); }
  std::string metrics() {
    Scrape scrape;
    trust_->tell(scrape);
    return scrape.text();
  }

  testing::Loop loop_;
  testing::MemoryLog log_;
  FakeFiles files_;
  Config config_;
  TestAuthority devices_{"Devices"};
  PrivateKey server_key_ = PrivateKey::generate(KeyType::ecdsa);
  Certificate leaf_ = devices_.issue("press-1");
  std::unique_ptr<Trust> trust_;
};

TEST_F(TrustTest, DoesNothingWhileNothingChanges) {
  const auto before = trust_->server_tls();
  EXPECT_EQ(pass(100), 0);
  EXPECT_EQ(pass(1, true), 0);
  EXPECT_EQ(trust_->server_tls(), before);
  EXPECT_FALSE(ends(leaf_));
  EXPECT_EQ(log_.count("gateway.reloaded"), 0U);
}

TEST_F(TrustTest, EndsWhoWasRevokedWithinTwoLooks) {
  files_.write("crl", devices_.crl({leaf_}, 2));
  EXPECT_EQ(pass(2), 1);
  EXPECT_TRUE(ends(leaf_));
  EXPECT_FALSE(ends(devices_.issue("press-2")));
  EXPECT_EQ(log_.count("gateway.connection_ended"), 1U);
  EXPECT_THAT(metrics(), ::testing::HasSubstr("postern_gateway_crl_entries{issuer=\"CN=Devices\"} 1\n"));
}

TEST_F(TrustTest, EndsWhoseSerialIsListedAtOnceWhenAsked) {
  files_.write("serials", leaf_.serial() + "\n");
  EXPECT_EQ(pass(1, true), 1);
  EXPECT_TRUE(ends(leaf_));
}

TEST_F(TrustTest, EndsTheDevicesOfAnAuthorityThatIsGone) {
  TestAuthority other("Other", 2);
  files_.write("ca", devices_.ca().to_pem() + other.ca().to_pem());
  EXPECT_EQ(pass(2), 1);
  const Certificate guest = other.issue("guest");
  EXPECT_FALSE(ends(guest));
  files_.write("ca", devices_.ca().to_pem());
  EXPECT_EQ(pass(2), 1);
  EXPECT_TRUE(ends(guest));
  EXPECT_FALSE(ends(leaf_));
}

TEST_F(TrustTest, TakesTheListOfAnAuthorityThatComesLater) {
  TestAuthority other("Other", 2);
  const Certificate guest = other.issue("guest");
  files_.write("crl", devices_.crl({}) + other.crl({guest}));
  EXPECT_EQ(pass(2), 1);
  files_.write("ca", devices_.ca().to_pem() + other.ca().to_pem());
  EXPECT_EQ(pass(2), 1);
  EXPECT_TRUE(ends(guest));
}

TEST_F(TrustTest, EndsWhoseCertificateExpires) {
  const Certificate brief = devices_.issue("brief", 10s);
  EXPECT_FALSE(ends(brief));
  EXPECT_EQ(pass(10), 0);
  EXPECT_EQ(pass(5), 1);
  EXPECT_TRUE(ends(brief));
  EXPECT_FALSE(ends(leaf_));
}

TEST_F(TrustTest, KeepsWhatWasGoodAndTellsOfTheFailureUntilItIsMended) {
  files_.write("crl", devices_.crl({leaf_}, 2));
  EXPECT_EQ(pass(2), 1);
  files_.write("crl", devices_.crl({}, 3).substr(0, 100));
  EXPECT_EQ(pass(2), 0);
  EXPECT_TRUE(ends(leaf_));
  EXPECT_EQ(log_.count("gateway.reload_failed"), 1U);
  EXPECT_THAT(metrics(), ::testing::HasSubstr("postern_gateway_reload_failing{source=\"crl\"} 1\n"));
  EXPECT_THAT(metrics(),
              ::testing::HasSubstr("postern_gateway_reloads_total{source=\"crl\",result=\"failed\"} 1\n"));
  pass(60);
  EXPECT_EQ(log_.count("gateway.reload_failed"), 2U) << "an alarm each minute";
  files_.write("crl", devices_.crl({}, 3));
  EXPECT_EQ(pass(2), 1);
  EXPECT_FALSE(ends(leaf_));
  EXPECT_THAT(metrics(), ::testing::HasSubstr("postern_gateway_reload_failing{source=\"crl\"} 0\n"));
}

TEST_F(TrustTest, KeepsItsOldPairUntilTheNewKeyFits) {
  const auto before = trust_->server_tls();
  const PrivateKey next = PrivateKey::generate(KeyType::ecdsa);
  files_.write("server.crt", devices_.issue_for("gateway", next).to_pem());
  EXPECT_EQ(pass(3), 0);
  EXPECT_EQ(trust_->server_tls(), before);
  EXPECT_EQ(log_.count("gateway.reload_failed"), 1U);
  files_.write("server.key", next.to_pem());
  EXPECT_EQ(pass(2), 0);
  EXPECT_NE(trust_->server_tls(), before);
  EXPECT_EQ(log_.count("gateway.reloaded"), 1U);
}

TEST_F(TrustTest, RetriesAFileThatCouldNotBeReadWithoutAChange) {
  files_.write("serials", leaf_.serial() + "\n");
  files_.make_unreadable("serials");
  EXPECT_EQ(pass(2), 0);
  EXPECT_EQ(log_.count("gateway.reload_failed"), 1U);
  EXPECT_FALSE(ends(leaf_));
}

TEST_F(TrustTest, WarnsOfItsOwnCertificateAndOfAnAuthority) {
  pass(1);
  EXPECT_EQ(log_.count("gateway.certificate_ends"), 0U);
  loop_.advance(days(80));
  pass(1);
  EXPECT_EQ(log_.count("gateway.certificate_ends"), 2U);
  EXPECT_EQ(log_.count("gateway.crl_stale"), 1U);
  EXPECT_THAT(metrics(), ::testing::HasSubstr("which=\"server\",subject=\"CN=gateway\""));
  write_server(server_key_, "gateway", days(99));
  pass(2);
  EXPECT_EQ(log_.count("gateway.certificate_ends"), 3U) << "the new one ends soon as well";
}

TEST_F(TrustTest, DoesNotStartWithWhatIsBadAndNamesTheKey) {
  files_.write("crl", "junk");
  const auto loaded = Trust::load(config_, files_, loop_.clock(), log_);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().what, ::testing::StartsWith("Postern.mTLS.CRL: crl: "));
}

TEST_F(TrustTest, LooksByItselfUntilItIsStopped) {
  Pool pool(0);
  int checks = 0;
  trust_->start(loop_.executor(), pool, {.connections = [&] { ++checks; }, .verify_keys = [] {}});
  loop_.advance(10s);
  files_.write("serials", leaf_.serial() + "\n");
  loop_.advance(3s);
  EXPECT_EQ(checks, 1);
  trust_->reload([](const auto&) {});
  loop_.advance(2s);
  EXPECT_EQ(log_.count("gateway.reload_done"), 1U);
  EXPECT_TRUE(loop_.run(trust_->stop()));
}

TEST_F(TrustTest, TellsThatAReloadHasEndedAndWhatOfItFailed) {
  Pool pool(0);
  std::vector<std::vector<std::string>> ended;
  const auto note = [&](const std::vector<std::string>& failing) { ended.push_back(failing); };
  trust_->start(loop_.executor(), pool, {.connections = [] {}, .verify_keys = [] {}});
  trust_->reload(note);
  EXPECT_TRUE(ended.empty()) << "nothing was read yet";
  loop_.advance(1s);
  files_.write("crl", "junk");
  files_.write("serials", leaf_.serial() + "\n");
  trust_->reload(note);
  trust_->reload(note);
  loop_.advance(1s);
  EXPECT_TRUE(ends(leaf_));
  const std::vector<std::string> crl{"crl"};
  EXPECT_EQ(ended, (std::vector<std::vector<std::string>>{{}, crl, crl}));
  trust_->reload(note);
  EXPECT_TRUE(loop_.run(trust_->stop()));
  EXPECT_EQ(ended.size(), 3U) << "whoever stops says that, and no more that it is ready";
}

TEST_F(TrustTest, TakesOtherVerifyKeysAndKeepsThemUntilBetterOnesCome) {
  const auto pem = [] { return PrivateKey::generate(KeyType::ecdsa).public_key().to_pem(); };
  config_.artifact_verify_keys = {"keys"};
  files_.write("keys/a.pem", pem());
  trust_ = Trust::load(config_, files_, loop_.clock(), log_).value();
  Pool pool(0);
  int changes = 0;
  trust_->start(loop_.executor(), pool, {.connections = [] {}, .verify_keys = [&] { ++changes; }});
  loop_.advance(5s);
  EXPECT_EQ(trust_->verify_keys()->size(), 1U);
  files_.write("keys/b.pem", pem() + pem());
  loop_.advance(3s);
  EXPECT_EQ(trust_->verify_keys()->size(), 3U);
  EXPECT_EQ(changes, 1);
  files_.write("keys/b.pem", "junk");
  loop_.advance(3s);
  files_.remove("keys/a.pem");
  files_.remove("keys/b.pem");
  loop_.advance(3s);
  EXPECT_EQ(trust_->verify_keys()->size(), 3U) << "without any, nothing would be checked";
  EXPECT_THAT(metrics(), ::testing::HasSubstr("postern_gateway_reload_failing{source=\"verify_keys\"} 1\n"));
  files_.write("keys/a.pem", pem());
  loop_.advance(3s);
  EXPECT_EQ(trust_->verify_keys()->size(), 1U);
  EXPECT_EQ(changes, 2);
  EXPECT_TRUE(loop_.run(trust_->stop()));
}

TEST_F(TrustTest, DoesNotStartWithABadVerifyKey) {
  config_.artifact_verify_keys = {"key.pem"};
  files_.write("key.pem", "junk");
  const auto loaded = Trust::load(config_, files_, loop_.clock(), log_);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().what, ::testing::StartsWith("Postern.Artifacts.VerifyKeys: key.pem: "));
}

}  // namespace
}  // namespace postern::gateway
