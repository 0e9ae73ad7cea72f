#include "shared/crypto/digest.hpp"

#include "shared/testing/seeded_random.hpp"

namespace postern {
namespace {

TEST(Sha256, MatchesAKnownVectorInOnePieceAndInMany) {
  // The `version` member of every artifact (artifact-format 3).
  const std::string text = R"({"format":"mender","version":3})";
  constexpr std::string_view expected = "96bcd965947569404798bcbdb614f103db5a004eb6e364cfc162c146890ea35b";
  EXPECT_EQ(to_hex(sha256(as_bytes(text))), expected);
  Sha256 hash;
  for (const char& c : text) hash.update(as_bytes(std::string_view(&c, 1)));
  EXPECT_EQ(to_hex(hash.finish()), expected);
  hash.update(as_bytes(text));
  EXPECT_EQ(to_hex(hash.finish()), expected) << "finish() starts anew";
}

TEST(HmacSha256, MatchesTheVectorOfTheSignedConfigurationLink) {
  // device-protocol 3.2
  const std::string to_sign =
      "GET\n/api/devices/v1/deployments/download/configuration/8ac7f6d3-3f52-4f4a-9c4b-2a54d8a0c111/"
      "raspberrypi4/"
      "6f1f7a0e-7b8e-4d2a-9a35-3f1f4d0c2222\nx-men-expire=2030-01-02T03:04:05Z\ntenant_id=\n";
  const auto signature = hmac_sha256(as_bytes("0123456789abcdef0123456789abcdef"), as_bytes(to_sign));
  EXPECT_EQ(to_base64url(signature), "lJjFGMes3zHYwt5djr-SFwp5H3zB8P4It2TpNz3fmgs");
}

TEST(PasswordHash, AcceptsTheRightPasswordOnly) {
  testing::SeededRandom random(1);
  const std::string hash = hash_password("correct horse", random);
  EXPECT_TRUE(verify_password("correct horse", hash));
  EXPECT_FALSE(verify_password("correct horsE", hash));
  EXPECT_NE(hash, hash_password("correct horse", random)) << "salted";
}

TEST(PasswordHash, TellsWhatItCost) {
  testing::SeededRandom random(1);
  const std::string hash = hash_password("correct horse", random, 16);
  EXPECT_TRUE(verify_password("correct horse", hash));
  EXPECT_EQ(password_cost(hash), 16);
  EXPECT_FALSE(password_cost("scrypt$16x$AAAA$AAAA"));
}

TEST(PasswordHash, MatchesNothingWhenItCannotBeRead) {
  for (const char* hash : {"", "scrypt", "scrypt$32768$AAAA", "md5$1$AAAA$AAAA", "scrypt$x$AAAA$AAAA",
                           "scrypt$99999999999$AAAA$AAAA", "scrypt$32768$AAAA$AAAA$AAAA"}) {
    EXPECT_FALSE(verify_password("", hash)) << hash;
  }
}

}  // namespace
}  // namespace postern
