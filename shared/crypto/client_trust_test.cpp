#include "shared/crypto/client_trust.hpp"

#include "shared/crypto/certificate_builder.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern {
namespace {

using std::chrono::days;

constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / std::chrono::March / 1);

class ClientTrustTest : public ::testing::Test {
 protected:
  Certificate make_ca(const PrivateKey& key) {
    return make_self_signed(
               {.common_name = "CA", .is_ca = true, .not_before = kNow, .not_after = kNow + days(100)}, key,
               random_)
        .value();
  }
  Certificate make_leaf(std::vector<CertificateUsage> usages = {}) {
    return make_certificate({.common_name = "leaf",
                             .usages = std::move(usages),
                             .not_before = kNow,
                             .not_after = kNow + days(10)},
                            key_.public_key(), ca_, key_, random_)
        .value();
  }
  std::optional<ClientFault> fault_of(const Certificate& leaf, ClientTrust::Options options = {},
                                      WallTime now = kNow + days(1)) {
    if (options.authorities.empty()) options.authorities = {ca_};
    const auto refusal = ClientTrust(std::move(options)).check(std::array{leaf}, now);
    return refusal ? std::optional(refusal->fault) : std::nullopt;
  }
  std::string crl(std::vector<RevokedSerial> revoked) {
    return make_revocation_list({.number = 1,
                                 .this_update = kNow,
                                 .next_update = kNow + days(10),
                                 .revoked = std::move(revoked)},
                                ca_, key_)
        .value();
  }

  testing::SeededRandom random_{1};
  PrivateKey key_ = PrivateKey::generate(KeyType::ecdsa);
  Certificate ca_ = make_ca(key_);
};

TEST_F(ClientTrustTest, WelcomesALeafWithoutUsagesAndOneForClients) {
  EXPECT_EQ(fault_of(make_leaf()), std::nullopt);
  EXPECT_EQ(fault_of(make_leaf({CertificateUsage::tls_client})), std::nullopt);
}

TEST_F(ClientTrustTest, RefusesALeafForServersAndACaAsLeaf) {
  EXPECT_EQ(fault_of(make_leaf({CertificateUsage::tls_server})), ClientFault::unusable);
  EXPECT_EQ(fault_of(ca_), ClientFault::unusable);
}

TEST_F(ClientTrustTest, RefusesALeafOfAnotherAuthorityOfTheSameName) {
  const PrivateKey other = PrivateKey::generate(KeyType::ecdsa);
  EXPECT_EQ(fault_of(make_leaf(), {.authorities = {make_ca(other)}}), ClientFault::unknown_authority);
}

TEST_F(ClientTrustTest, TellsAnExpiredFriendFromAStranger) {
  EXPECT_EQ(fault_of(make_leaf(), {}, kNow + days(11)), ClientFault::expired);
  const PrivateKey other = PrivateKey::generate(KeyType::ecdsa);
  EXPECT_EQ(fault_of(make_leaf(), {.authorities = {make_ca(other)}}, kNow + days(11)),
            ClientFault::unknown_authority);
}

TEST_F(ClientTrustTest, TakesAnExpiredLeafWhenToldTo) {
  EXPECT_EQ(fault_of(make_leaf(), {.ignore_expiry = true}, kNow + days(11)), std::nullopt);
}

TEST_F(ClientTrustTest, RefusesWhatACrlOrAListOfSerialsRevokes) {
  const Certificate leaf = make_leaf();
  Revocations by_crl;
  ASSERT_TRUE(by_crl.add_crls(crl({{.serial = leaf.serial(), .revoked_at = kNow}}), std::array{ca_}));
  EXPECT_EQ(fault_of(leaf, {.revocations = std::move(by_crl)}), ClientFault::revoked);
  Revocations by_list;
  ASSERT_TRUE(by_list.add_serials(leaf.serial()));
  EXPECT_EQ(fault_of(leaf, {.revocations = std::move(by_list)}), ClientFault::revoked);
}

TEST_F(ClientTrustTest, LooksAtTimeAndRevocationOfAChainThatItKnows) {
  const Certificate leaf = make_leaf();
  Revocations later;
  ASSERT_TRUE(later.add_serials(leaf.serial()));
  const ClientTrust before({.authorities = {ca_}});
  EXPECT_FALSE(before.check(std::array{leaf}, kNow + days(1)));
  EXPECT_EQ(before.check(std::array{leaf}, kNow + days(11))->fault, ClientFault::expired);
  const ClientTrust after({.authorities = {ca_}, .revocations = std::move(later)}, &before);
  EXPECT_EQ(after.check(std::array{leaf}, kNow + days(1))->fault, ClientFault::revoked);
}

TEST_F(ClientTrustTest, ThrowsNobodyOutForAClockThatWasSetBack) {
  const ClientTrust trust({.authorities = {ca_}});
  const std::array chain{make_leaf()};
  EXPECT_TRUE(trust.check(chain, kNow - days(5)));
  EXPECT_FALSE(trust.check_again(chain, kNow - days(5)));
  EXPECT_TRUE(trust.check_again(chain, kNow + days(11)));
}

TEST_F(ClientTrustTest, SaysOnceThatAWelcomeCertificateHasExpired) {
  const ClientTrust trust({.authorities = {ca_}});
  EXPECT_FALSE(trust.has_any_expired(kNow + days(500)));
  ASSERT_FALSE(trust.check(std::array{make_leaf()}, kNow + days(1)));
  EXPECT_FALSE(trust.has_any_expired(kNow + days(10)));
  EXPECT_TRUE(trust.has_any_expired(kNow + days(11)));
  EXPECT_FALSE(trust.has_any_expired(kNow + days(11)));
}

TEST_F(ClientTrustTest, AsksForACrlOnlyWhenToldTo) {
  EXPECT_EQ(fault_of(make_leaf(), {.require_crl = true}), ClientFault::unknown_authority);
  Revocations empty;
  ASSERT_TRUE(empty.add_crls(crl({}), std::array{ca_}));
  EXPECT_EQ(fault_of(make_leaf(), {.revocations = std::move(empty), .require_crl = true}), std::nullopt);
}

}  // namespace
}  // namespace postern
