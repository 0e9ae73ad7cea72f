#include "shared/crypto/keys.hpp"

namespace postern {
namespace {

class EveryKeyType : public ::testing::TestWithParam<KeyType> {};

TEST_P(EveryKeyType, SignsWhatItsPublicKeyVerifies) {
  const PrivateKey key = PrivateKey::generate(GetParam());
  const auto public_key = PublicKey::from_pem(key.public_key().to_pem());
  ASSERT_TRUE(public_key);
  EXPECT_EQ(public_key->type(), GetParam());
  const auto signature = key.sign(as_bytes("message"));
  EXPECT_TRUE(public_key->verify(as_bytes("message"), signature));
  EXPECT_FALSE(public_key->verify(as_bytes("massage"), signature));
  EXPECT_FALSE(public_key->verify(as_bytes("message"), {}));
  EXPECT_FALSE(PrivateKey::generate(GetParam()).public_key().verify(as_bytes("message"), signature));
}

TEST_P(EveryKeyType, SurvivesBeingWrittenAndRead) {
  const PrivateKey key = PrivateKey::generate(GetParam());
  const auto again = PrivateKey::from_pem(key.to_pem());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->public_key().to_der(), key.public_key().to_der());
}

INSTANTIATE_TEST_SUITE_P(Keys, EveryKeyType,
                         ::testing::Values(KeyType::rsa, KeyType::ecdsa, KeyType::ed25519),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(PublicKey, IsHandedBackInCanonicalForm) {
  const std::string canonical =
      "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END "
      "PUBLIC "
      "KEY-----\n";
  const std::string untidy =
      "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END "
      "PUBLIC "
      "KEY-----";
  const auto key = PublicKey::from_pem(untidy);
  ASSERT_TRUE(key) << key.error().what;
  EXPECT_EQ(key->to_pem(), canonical);
}

TEST(PublicKey, RefusesEverythingButAPublicKeyBlock) {
  const PrivateKey key = PrivateKey::generate(KeyType::ecdsa);
  for (const std::string& pem :
       {std::string(), std::string("junk"), key.to_pem(), std::string(100'000, 'A'),
        std::string("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")}) {
    EXPECT_FALSE(PublicKey::from_pem(pem));
  }
}

TEST(PublicKey, SeveralMayStandInOneText) {
  const std::string first = PrivateKey::generate(KeyType::ecdsa).public_key().to_pem();
  const std::string second = PrivateKey::generate(KeyType::ed25519).public_key().to_pem();
  const auto keys = PublicKey::list_from_pem("# the old one\n" + first + "\n# the new one\n" + second);
  ASSERT_TRUE(keys) << keys.error().what;
  ASSERT_EQ(keys->size(), 2U);
  EXPECT_EQ((*keys)[0].to_pem(), first);
  EXPECT_EQ((*keys)[1].to_pem(), second);
  EXPECT_FALSE(PublicKey::list_from_pem("# none\n"));
  EXPECT_FALSE(PublicKey::list_from_pem(first + second.substr(0, 60)));
  EXPECT_FALSE(PublicKey::list_from_pem(first + PrivateKey::generate(KeyType::ecdsa).to_pem()));
}

TEST(PublicKey, VerifiesRawEcdsaOfTheRightSizeOnly) {
  const PrivateKey rsa = PrivateKey::generate(KeyType::rsa);
  const PrivateKey ec = PrivateKey::generate(KeyType::ecdsa);
  const std::vector<std::byte> zeros(64);
  EXPECT_FALSE(rsa.public_key().verify_raw_ecdsa(as_bytes("m"), zeros));
  EXPECT_FALSE(ec.public_key().verify_raw_ecdsa(as_bytes("m"), zeros));
  EXPECT_FALSE(ec.public_key().verify_raw_ecdsa(as_bytes("m"), std::vector<std::byte>(63)));
}

}  // namespace
}  // namespace postern
