#include "shared/crypto/certificate.hpp"

#include "shared/crypto/certificate_builder.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern {
namespace {

using std::chrono::days;
using std::chrono::seconds;

constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / std::chrono::March / 1);

/// A CA and what it issues; keys are ECDSA.
class Issuer {
 public:
  explicit Issuer(std::string name, std::uint64_t seed = 1) : random_(seed) {
    CertificateSpec spec = spec_for(std::move(name));
    spec.is_ca = true;
    certificate_ = make_self_signed(spec, key_, random_).value();
  }

  static CertificateSpec spec_for(std::string name) {
    return {.common_name = std::move(name), .not_before = kNow - days(1), .not_after = kNow + days(100)};
  }
  Result<Certificate> try_issue(const CertificateSpec& spec) {
    return make_certificate(spec, key_.public_key(), *certificate_, key_, random_);
  }
  Certificate issue(const CertificateSpec& spec) { return try_issue(spec).value(); }
  Certificate issue(std::vector<CertificateUsage> usages) {
    CertificateSpec spec = spec_for("leaf");
    spec.usages = std::move(usages);
    return issue(spec);
  }
  const Certificate& certificate() const { return *certificate_; }

 private:
  testing::SeededRandom random_;
  PrivateKey key_ = PrivateKey::generate(KeyType::ecdsa);
  std::optional<Certificate> certificate_;
};

TEST(Certificate, TellsWhatItWasMadeWith) {
  Issuer issuer("Plant CA");
  CertificateSpec spec = Issuer::spec_for("press-7");
  spec.organization = "Werk Süd";
  spec.organizational_unit = "Halle 2";
  spec.number = "12";
  spec.dns_names = {"gw.example.com", "*.plant"};
  spec.ip_addresses = {"10.0.0.1", "fd00::1"};
  spec.usages = {CertificateUsage::tls_server};
  const Certificate leaf = issuer.issue(spec);
  EXPECT_EQ(leaf.subject(), "serialNumber=12,CN=press-7,OU=Halle 2,O=Werk Süd");
  EXPECT_EQ(leaf.issuer(), "CN=Plant CA");
  EXPECT_EQ(leaf.subject_field("CN"), "press-7");
  EXPECT_EQ(leaf.subject_field("serialNumber"), "12");
  EXPECT_EQ(leaf.subject_field("OU"), "Halle 2");
  EXPECT_EQ(leaf.subject_field("UID"), std::nullopt);
  EXPECT_EQ(leaf.subject_field("no such field"), std::nullopt);
  EXPECT_EQ(leaf.dns_names(), spec.dns_names);
  EXPECT_EQ(leaf.ip_addresses(), spec.ip_addresses);
  EXPECT_EQ(leaf.usages(), spec.usages);
  EXPECT_EQ(leaf.not_before(), spec.not_before);
  EXPECT_EQ(leaf.not_after(), spec.not_after);
  EXPECT_FALSE(leaf.is_ca());
  EXPECT_TRUE(issuer.certificate().is_ca());
  EXPECT_TRUE(leaf.public_key()->to_der() == issuer.certificate().public_key()->to_der());
}

TEST(Certificate, HasARandomSerialOf128Bits) {
  Issuer issuer("CA");
  const Certificate one = issuer.issue(Issuer::spec_for("a"));
  const Certificate two = issuer.issue(Issuer::spec_for("a"));
  EXPECT_EQ(one.serial().size(), 32U);
  EXPECT_NE(one.serial(), two.serial());
  EXPECT_EQ(normalize_serial(one.serial()), one.serial());
}

TEST(Certificate, SurvivesBeingWrittenAndRead) {
  Issuer issuer("CA");
  const Certificate leaf = issuer.issue(Issuer::spec_for("a"));
  const auto from_pem = Certificate::from_pem("leading text\n" + leaf.to_pem());
  const auto from_der = Certificate::from_der(leaf.to_der());
  ASSERT_TRUE(from_pem && from_der);
  EXPECT_EQ(leaf.fingerprint(), sha256(leaf.to_der()));
  EXPECT_EQ(from_pem->fingerprint(), leaf.fingerprint());
  EXPECT_EQ(from_der->fingerprint(), leaf.fingerprint());
  const Certificate copy = leaf;
  EXPECT_EQ(copy.fingerprint(), leaf.fingerprint());
}

TEST(Certificate, ReadsAChainInItsOrderAndSkipsOtherBlocks) {
  Issuer issuer("CA");
  const Certificate leaf = issuer.issue(Issuer::spec_for("a"));
  const std::string key = PrivateKey::generate(KeyType::ed25519).to_pem();
  const auto chain = Certificate::list_from_pem(key + leaf.to_pem() + issuer.certificate().to_pem());
  ASSERT_TRUE(chain) << chain.error().what;
  ASSERT_EQ(chain->size(), 2U);
  EXPECT_EQ((*chain)[0].subject(), "CN=a");
  EXPECT_EQ((*chain)[1].subject(), "CN=CA");
}

TEST(Certificate, RefusesWhatIsNone) {
  Issuer issuer("CA");
  const std::string pem = issuer.certificate().to_pem();
  for (const std::string& text :
       {std::string(), std::string("junk"), pem.substr(0, pem.size() / 2),
        std::string("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}) {
    EXPECT_FALSE(Certificate::from_pem(text)) << text;
    EXPECT_FALSE(Certificate::list_from_pem(text)) << text;
  }
  EXPECT_FALSE(
      Certificate::list_from_pem(pem + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  auto der = issuer.certificate().to_der();
  der.push_back(std::byte{0});
  EXPECT_FALSE(Certificate::from_der(der));
  EXPECT_FALSE(Certificate::from_der({}));
}

TEST(Certificate, KnowsWhoSignedIt) {
  Issuer issuer("CA");
  Issuer namesake("CA", 2);
  const Certificate leaf = issuer.issue(Issuer::spec_for("a"));
  EXPECT_TRUE(leaf.is_signed_by(issuer.certificate()));
  EXPECT_FALSE(leaf.is_signed_by(namesake.certificate()));
  EXPECT_FALSE(leaf.is_signed_by(leaf));
}

TEST(Certificate, IsRefusedWithNamesThatCannotBe) {
  Issuer issuer("CA");
  const auto refused = [&](auto change) {
    CertificateSpec spec = Issuer::spec_for("a");
    change(spec);
    const auto made = issuer.try_issue(spec);
    return !made && made.error().reason == Reason::invalid;
  };
  EXPECT_TRUE(refused([](auto& spec) { spec.common_name = ""; }));
  EXPECT_TRUE(refused([](auto& spec) { spec.common_name = std::string(65, 'a'); }));
  EXPECT_TRUE(refused([](auto& spec) { spec.common_name = "a\nb"; }));
  EXPECT_TRUE(refused([](auto& spec) { spec.common_name = "\xff\xfe"; }));
  EXPECT_TRUE(refused([](auto& spec) { spec.not_after = spec.not_before - seconds(1); }));
  for (const char* name : {"", ".", "a..b", "a.", "-a", "a b", "a,DNS:b", "10.0.0.1", "*", "*.", "x.*.y"}) {
    EXPECT_TRUE(refused([&](auto& spec) { spec.dns_names = {name}; })) << name;
  }
  for (const char* address : {"", "10.0.0", "10.0.0.256", "gw", "fd00::1,DNS:b", "fd00::/8"}) {
    EXPECT_TRUE(refused([&](auto& spec) { spec.ip_addresses = {address}; })) << address;
  }
  EXPECT_FALSE(refused([](auto& spec) { spec.common_name = std::string(64, 'a'); }));
}

TEST(CheckUsage, TakesAPresentUsageOnlyForWhatItSays) {
  Issuer issuer("CA");
  using enum CertificateUsage;
  for (const CertificateUsage has : {tls_server, tls_client, plan_signing}) {
    const Certificate leaf = issuer.issue({has});
    for (const CertificateUsage wanted : {tls_server, tls_client, plan_signing}) {
      EXPECT_EQ(check_usage(leaf, wanted).has_value(), has == wanted)
          << to_string(has) << " used for " << to_string(wanted);
    }
  }
  EXPECT_TRUE(check_usage(issuer.issue({tls_server, tls_client}), tls_client));
}

TEST(CheckUsage, TakesAnAbsentUsageForTlsButNotForPlans) {
  Issuer issuer("CA");
  const Certificate leaf = issuer.issue(std::vector<CertificateUsage>{});
  EXPECT_TRUE(check_usage(leaf, CertificateUsage::tls_client));
  EXPECT_TRUE(check_usage(leaf, CertificateUsage::tls_server));
  EXPECT_EQ(check_usage(leaf, CertificateUsage::plan_signing).error().reason, Reason::unauthorized);
}

TEST(CheckUsage, NeverTakesACaAsALeaf) {
  Issuer issuer("CA");
  for (const CertificateUsage usage : {CertificateUsage::tls_server, CertificateUsage::tls_client}) {
    EXPECT_EQ(check_usage(issuer.certificate(), usage).error().reason, Reason::unauthorized);
  }
}

TEST(CheckValidity, HoldsFromTheFirstToTheLastSecond) {
  Issuer issuer("CA");
  const Certificate leaf = issuer.issue(Issuer::spec_for("a"));
  EXPECT_TRUE(check_validity(leaf, leaf.not_before()));
  EXPECT_TRUE(check_validity(leaf, leaf.not_after()));
  EXPECT_FALSE(check_validity(leaf, leaf.not_before() - seconds(1)));
  EXPECT_FALSE(check_validity(leaf, leaf.not_after() + seconds(1)));
}

TEST(NormalizeSerial, HasOneFormForEachNumber) {
  for (const char* text : {"1f", "1F", "0x1f", "001F", "00:1f", "01f"})
    EXPECT_EQ(normalize_serial(text), "1f") << text;
  EXPECT_EQ(normalize_serial("0"), "00");
  EXPECT_EQ(normalize_serial("7:00"), "0700");
  for (const char* text : {"", "0x", "xyz", "-1", "1f 2e", "12345g"})
    EXPECT_FALSE(normalize_serial(text)) << text;
  EXPECT_FALSE(normalize_serial(std::string(200, 'a')));
}

}  // namespace
}  // namespace postern
