#include "shared/crypto/revocation.hpp"

#include "shared/crypto/certificate_builder.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern {
namespace {

using std::chrono::days;

constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / std::chrono::March / 1);

/// A CA with a leaf, and CRLs of it.
class Authority {
 public:
  explicit Authority(std::string name, std::uint64_t seed = 1) : random_(seed) {
    CertificateSpec spec{
        .common_name = std::move(name), .is_ca = true, .not_before = kNow, .not_after = kNow + days(100)};
    ca = make_self_signed(spec, key_, random_).value();
    spec = {.common_name = "leaf", .not_before = kNow, .not_after = kNow + days(100)};
    leaf = make_certificate(spec, key_.public_key(), *ca, key_, random_).value();
  }
  std::string crl(std::vector<RevokedSerial> revoked, std::uint64_t number = 1, WallTime when = kNow) {
    return make_revocation_list({.number = number,
                                 .this_update = when,
                                 .next_update = when + days(10),
                                 .revoked = std::move(revoked)},
                                *ca, key_)
        .value();
  }
  std::string crl_with_leaf() { return crl({{.serial = leaf->serial(), .revoked_at = kNow}}); }

  std::optional<Certificate> ca;
  std::optional<Certificate> leaf;

 private:
  testing::SeededRandom random_;
  PrivateKey key_ = PrivateKey::generate(KeyType::ecdsa);
};

TEST(RevocationList, TellsWhatItWasMadeWith) {
  Authority authority("CA");
  const auto lists = RevocationList::list_from_pem(authority.crl({{"1f", kNow - days(1)}, {"2e", kNow}}, 77));
  ASSERT_TRUE(lists) << lists.error().what;
  ASSERT_EQ(lists->size(), 1U);
  const RevocationList& list = lists->front();
  EXPECT_EQ(list.issuer(), "CN=CA");
  EXPECT_EQ(list.number(), 77U);
  EXPECT_EQ(list.this_update(), kNow);
  EXPECT_EQ(list.next_update(), kNow + days(10));
  EXPECT_EQ(list.revoked().at("1f"), kNow - days(1));
  EXPECT_EQ(list.revoked().size(), 2U);
  EXPECT_TRUE(list.is_signed_by(*authority.ca));
  EXPECT_FALSE(list.is_signed_by(*Authority("CA", 2).ca));
}

TEST(RevocationList, RefusesWhatIsNone) {
  Authority authority("CA");
  const std::string pem = authority.crl({});
  EXPECT_FALSE(RevocationList::list_from_pem(""));
  EXPECT_FALSE(RevocationList::list_from_pem("junk"));
  EXPECT_FALSE(RevocationList::list_from_pem(pem.substr(0, pem.size() / 2)));
  EXPECT_FALSE(RevocationList::list_from_pem(authority.ca->to_pem()));
}

TEST(Revocations, HoldForTheIssuerOfTheListOnly) {
  Authority authority("CA");
  Authority other("Other CA", 2);
  // Serial numbers of two issuers may be equal; here one list names both.
  Revocations revocations;
  const auto pem = authority.crl({{authority.leaf->serial(), kNow}, {other.leaf->serial(), kNow}});
  ASSERT_TRUE(revocations.add_crls(pem, std::vector{*authority.ca, *other.ca}));
  EXPECT_TRUE(revocations.is_revoked(*authority.leaf, *authority.ca));
  EXPECT_FALSE(revocations.is_revoked(*other.leaf, *other.ca));
  EXPECT_FALSE(revocations.is_revoked(*authority.ca, *authority.ca));
  EXPECT_TRUE(revocations.covers(*authority.ca));
  EXPECT_FALSE(revocations.covers(*other.ca));
}

TEST(Revocations, RefuseAListThatNoTrustedAuthoritySigned) {
  Authority authority("CA");
  Authority namesake("CA", 2);
  Revocations revocations;
  const auto added = revocations.add_crls(namesake.crl_with_leaf(), std::vector{*authority.ca});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().reason, Reason::unauthorized);
  EXPECT_FALSE(revocations.is_revoked(*namesake.leaf, *namesake.ca));
}

TEST(Revocations, ApplyPlainSerialsToEveryIssuer) {
  Authority authority("CA");
  Authority other("Other CA", 2);
  Revocations revocations;
  ASSERT_TRUE(
      revocations.add_serials("# lost in May\n\n  0x" + authority.leaf->serial() + "  # press 7\r\n1f"));
  EXPECT_TRUE(revocations.is_revoked(*authority.leaf, *authority.ca));
  EXPECT_FALSE(revocations.is_revoked(*other.leaf, *other.ca));
}

TEST(Revocations, NameTheLineOfASerialThatIsNone) {
  Revocations revocations;
  const auto added = revocations.add_serials("1f\nnonsense\n");
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().what, ::testing::HasSubstr("line 2"));
}

TEST(Revocations, StayInForceWhenStaleAndSaySo) {
  Authority authority("CA");
  Revocations revocations;
  ASSERT_TRUE(revocations.add_crls(authority.crl_with_leaf(), std::vector{*authority.ca}));
  EXPECT_TRUE(revocations.stale(kNow + days(10)).empty());
  EXPECT_EQ(revocations.stale(kNow + days(11)), std::vector<std::string>{"CN=CA"});
  EXPECT_TRUE(revocations.is_revoked(*authority.leaf, *authority.ca));
}

TEST(Revocations, AreNotStaleOnceANewerListIsKnown) {
  Authority authority("CA");
  Revocations revocations;
  ASSERT_TRUE(revocations.add_crls(authority.crl({}, 2, kNow + days(9)), std::vector{*authority.ca}));
  ASSERT_TRUE(revocations.add_crls(authority.crl({}, 1), std::vector{*authority.ca}));
  EXPECT_TRUE(revocations.stale(kNow + days(11)).empty());
}

std::string to_der(std::string_view pem) {
  const auto begin = pem.find('\n') + 1;
  std::string base64(pem.substr(begin, pem.find("\n-----END") - begin));
  std::erase(base64, '\n');
  return std::string(as_text(from_base64(base64).value()));
}

TEST(RevocationList, ReadsDerAndPemByTheirFirstBytes) {
  Authority authority("CA");
  const std::string pem = authority.crl({{"1f", kNow}}, 7);
  const std::string der = to_der(pem);
  const auto from_pem = RevocationList::list_from_bytes("Certificate Revocation List (CRL):\n" + pem);
  const auto from_der = RevocationList::list_from_bytes(der + to_der(authority.crl({}, 8)));
  ASSERT_TRUE(from_pem) << from_pem.error().what;
  ASSERT_TRUE(from_der) << from_der.error().what;
  ASSERT_EQ(from_der->size(), 2U);
  EXPECT_EQ(from_der->front().fingerprint(), from_pem->front().fingerprint());
  EXPECT_FALSE(RevocationList::list_from_bytes(der.substr(0, der.size() / 2)));
  EXPECT_FALSE(RevocationList::list_from_bytes(der + "0"));
  EXPECT_FALSE(RevocationList::list_from_bytes(""));
}

TEST(RevocationList, IsOlderByItsNumberAndThenByItsTime) {
  Authority authority("CA");
  const auto make = [&](std::uint64_t number, WallTime when) {
    return std::move(RevocationList::list_from_bytes(authority.crl({}, number, when)).value().front());
  };
  EXPECT_TRUE(make(1, kNow + days(1)).is_older_than(make(2, kNow)));
  EXPECT_FALSE(make(2, kNow).is_older_than(make(1, kNow + days(1))));
  EXPECT_TRUE(make(2, kNow).is_older_than(make(2, kNow + days(1))));
  EXPECT_FALSE(make(2, kNow).is_older_than(make(2, kNow)));
}

TEST(Revocations, CountAnUnverifiedListForAnIssuerThatHasSignedItOnly) {
  Authority authority("CA");
  Authority namesake("CA", 2);
  Revocations revocations;
  auto list = RevocationList::list_from_bytes(
      authority.crl({{authority.leaf->serial(), kNow}, {namesake.leaf->serial(), kNow}}));
  revocations.add(std::make_shared<const RevocationList>(std::move(list.value().front())), false);
  EXPECT_TRUE(revocations.is_revoked(*authority.leaf, *authority.ca));
  EXPECT_FALSE(revocations.is_revoked(*namesake.leaf, *namesake.ca));
  EXPECT_TRUE(revocations.covers(*authority.ca));
  EXPECT_FALSE(revocations.covers(*namesake.ca));
}

TEST(SigningRequest, GivesItsKeyOnlyWithAGoodSignature) {
  // openssl genpkey -algorithm ed25519 | openssl req -new -key /dev/stdin -subj /CN=x
  constexpr std::string_view kRequest = R"(-----BEGIN CERTIFICATE REQUEST-----
MIGLMD8CAQAwDDEKMAgGA1UEAwwBeDAqMAUGAytlcAMhAFA8j54xZgLM52YqZwY+
M8BSDsTDgXW9QQGjWSS0o/t0oAAwBQYDK2VwA0EAMQQyfBBcCxTXXSo9/9a6vhqb
4OoeAann3X4LPQQRjvtUASy0oXaU6pu27a6t8NqJGlG3xVvj3VnWGcdpjTGSCg==
-----END CERTIFICATE REQUEST-----
)";
  const auto key = public_key_of_request(kRequest);
  ASSERT_TRUE(key) << key.error().what;
  EXPECT_EQ(key->type(), KeyType::ed25519);
  // The last base64 group lies in the signature.
  std::string altered(kRequest);
  char& c = altered[altered.find("\n-----END") - 6];
  c = c == 'A' ? 'B' : 'A';
  EXPECT_FALSE(public_key_of_request(altered));
  EXPECT_FALSE(public_key_of_request("junk"));
}

}  // namespace
}  // namespace postern
