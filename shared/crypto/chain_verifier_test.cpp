#include "shared/crypto/chain_verifier.hpp"

#include "shared/crypto/certificate_builder.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern {
namespace {

using std::chrono::days;
using Verdict = ChainVerifier::Verdict;

constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / std::chrono::March / 1);

/// A CA and what it issues.
class Issuer {
 public:
  explicit Issuer(std::string name, std::uint64_t seed = 1) : random_(seed) {
    renew(std::move(name), days(50));
  }

  /// Another certificate for the same key.
  void renew(std::string name, days lifetime) {
    certificate = make_self_signed({.common_name = std::move(name),
                                    .is_ca = true,
                                    .not_before = kNow - days(1),
                                    .not_after = kNow + lifetime},
                                   key_, random_)
                      .value();
  }
  std::vector<Certificate> issue(days lifetime = days(100)) {
    return {
        make_certificate({.common_name = "leaf", .not_before = kNow - days(1), .not_after = kNow + lifetime},
                         key_.public_key(), *certificate, key_, random_)
            .value()};
  }
  /// Signed in the name of `parent`: all of them have the same key.
  Certificate issue_below(const Certificate& parent) {
    return make_certificate(
               {.common_name = "below", .not_before = kNow - days(1), .not_after = kNow + days(100)},
               key_.public_key(), parent, key_, random_)
        .value();
  }

  std::optional<Certificate> certificate;

 private:
  testing::SeededRandom random_;
  PrivateKey key_ = PrivateKey::generate(KeyType::ecdsa);
};

TEST(ChainVerifier, LeadsToAnAuthorityOrFails) {
  Issuer issuer("CA");
  Issuer other("Other CA", 2);
  const auto chain = issuer.issue();
  const auto outcome = ChainVerifier({*other.certificate, *issuer.certificate}).verify(chain, kNow);
  ASSERT_EQ(outcome.verdict, Verdict::trusted) << outcome.why;
  ASSERT_EQ(outcome.issuers->path.size(), 1U);
  EXPECT_EQ(outcome.issuers->path.front().subject(), "CN=CA");
  EXPECT_EQ(outcome.issuers->not_after, kNow + days(50));
  EXPECT_EQ(ChainVerifier({*other.certificate}).verify(chain, kNow).verdict, Verdict::unknown);
  EXPECT_EQ(ChainVerifier({}).verify(chain, kNow).verdict, Verdict::unknown);
  EXPECT_EQ(ChainVerifier({*issuer.certificate}).verify({}, kNow).verdict, Verdict::unknown);
}

TEST(ChainVerifier, TellsAnExpiredChainFromAnUnknownOne) {
  Issuer issuer("CA");
  Issuer namesake("CA", 2);
  const auto chain = issuer.issue(days(10));
  const ChainVerifier verifier({*issuer.certificate});
  EXPECT_EQ(verifier.verify(chain, kNow + days(11)).verdict, Verdict::expired);
  EXPECT_EQ(verifier.verify(chain, kNow - days(2)).verdict, Verdict::expired);
  EXPECT_EQ(verifier.verify(issuer.issue(days(100)), kNow + days(60)).verdict, Verdict::expired);
  EXPECT_EQ(verifier.verify(chain, std::nullopt).verdict, Verdict::trusted);
  EXPECT_EQ(ChainVerifier({*namesake.certificate}).verify(chain, kNow + days(11)).verdict, Verdict::unknown);
}

TEST(ChainVerifier, RefusesALeafThatSigns) {
  Issuer issuer("CA");
  const Certificate leaf = issuer.issue().front();
  const std::vector chain{issuer.issue_below(leaf), leaf};
  ASSERT_TRUE(chain[0].is_signed_by(leaf));
  EXPECT_EQ(ChainVerifier({*issuer.certificate}).verify(chain, kNow).verdict, Verdict::unknown);
}

TEST(ChainVerifier, TakesChainsOfBothWhileOneKeyTakesOverFromAnother) {
  Issuer old_key("CA");
  Issuer new_key("CA", 2);
  const ChainVerifier verifier({*old_key.certificate, *new_key.certificate});
  EXPECT_EQ(verifier.verify(old_key.issue(), kNow).verdict, Verdict::trusted);
  EXPECT_EQ(verifier.verify(new_key.issue(), kNow).verdict, Verdict::trusted);
}

TEST(ChainVerifier, TakesTheAuthorityThatIsStillValidOfTwoWithOneKey) {
  Issuer issuer("CA");
  const Certificate old = *issuer.certificate;
  issuer.renew("CA", days(90));
  const ChainVerifier verifier({old, *issuer.certificate});
  EXPECT_EQ(verifier.verify(issuer.issue(), kNow + days(60)).verdict, Verdict::trusted);
}

TEST(ChainVerifier, RemembersWhatItTrustsAndLooksAtTheTimeEachTime) {
  Issuer issuer("CA");
  const auto chain = issuer.issue(days(10));
  const ChainVerifier verifier({*issuer.certificate});
  EXPECT_EQ(verifier.recall(chain, kNow), nullptr);
  ASSERT_EQ(verifier.verify(chain, kNow).verdict, Verdict::trusted);
  EXPECT_NE(verifier.recall(chain, kNow), nullptr);
  EXPECT_NE(verifier.recall(std::vector{*Certificate::from_der(chain.front().to_der())}, kNow), nullptr);
  EXPECT_EQ(verifier.recall(chain, kNow + days(11)), nullptr);
  EXPECT_EQ(verifier.recall(chain, kNow - days(2)), nullptr);
  EXPECT_EQ(verifier.recall(std::vector{chain.front(), *issuer.certificate}, kNow), nullptr)
      << "other intermediates were shown";
}

TEST(ChainVerifier, RemembersNoStranger) {
  Issuer issuer("CA");
  Issuer stranger("Other CA", 2);
  const auto chain = stranger.issue();
  const ChainVerifier verifier({*issuer.certificate});
  ASSERT_EQ(verifier.verify(chain, kNow).verdict, Verdict::unknown);
  EXPECT_EQ(verifier.recall(chain, kNow), nullptr);
}

TEST(ChainVerifier, TakesOverWhatDoesNotHangOnAnAuthorityThatIsGone) {
  Issuer staying("CA");
  Issuer leaving("Other CA", 2);
  const ChainVerifier before({*staying.certificate, *leaving.certificate});
  const auto good = staying.issue();
  const auto bad = leaving.issue();
  ASSERT_EQ(before.verify(good, kNow).verdict, Verdict::trusted);
  ASSERT_EQ(before.verify(bad, kNow).verdict, Verdict::trusted);
  const ChainVerifier after({*staying.certificate}, &before);
  EXPECT_NE(after.recall(good, kNow), nullptr);
  EXPECT_EQ(after.recall(bad, kNow), nullptr);
  EXPECT_EQ(after.verify(bad, kNow).verdict, Verdict::unknown);
}

}  // namespace
}  // namespace postern
