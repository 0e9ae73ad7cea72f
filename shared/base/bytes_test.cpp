#include "shared/base/bytes.hpp"

namespace postern {
namespace {

std::string decoded(Result<std::vector<std::byte>> bytes) {
  return bytes ? std::string(as_text(*bytes)) : "error: " + bytes.error().what;
}

TEST(Base64, RoundTripsEveryLengthOfTail) {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    EXPECT_EQ(decoded(from_base64(to_base64(as_bytes(text)))), text);
    EXPECT_EQ(decoded(from_base64url(to_base64url(as_bytes(text)))), text);
  }
  EXPECT_EQ(to_base64(as_bytes("fooba")), "Zm9vYmE=");
  EXPECT_EQ(to_base64url(as_bytes("fooba")), "Zm9vYmE");
}

TEST(Base64, SkipsLineBreaksAsTheReferenceDecoderDoes) {
  EXPECT_EQ(decoded(from_base64("Zm9v\r\nYmFy\n")), "foobar");
}

TEST(Base64, RefusesWhatIsNotBase64) {
  for (const std::string text : {"Zm9", "Zm9vYg", "Zm9v!mFy", "Zg==Zg==", "=", "===="}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
  EXPECT_FALSE(from_base64url("Zm9vYg=="));
  EXPECT_FALSE(from_base64url("Zh")) << "stray bits would give one value two spellings";
}

TEST(Hex, RoundTripsAndReadsBothCases) {
  EXPECT_EQ(to_hex(as_bytes("\x01\xab")), "01ab");
  EXPECT_EQ(decoded(from_hex("666F6f")), "foo");
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("zz"));
}

TEST(ConstantTimeCompare, ComparesLengthAndContent) {
  EXPECT_TRUE(equal_in_constant_time("secret", "secret"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secreT"));
  EXPECT_FALSE(equal_in_constant_time("secret", "secre"));
}

}  // namespace
}  // namespace postern
