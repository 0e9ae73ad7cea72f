#include "shared/crypto/jwt.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace postern {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

const json::object kClaims{{"jti", "a"}, {"sub", "b"}, {"exp", 2'000'000'000}, {"mender.device", true}};

std::string encoded(std::string_view text) {
  return to_base64url(as_bytes(text));
}

/// Signs any header and payload, however wrong.
std::string signed_raw(const PrivateKey& key, std::string_view header, std::string_view payload) {
  const std::string signed_part = encoded(header) + "." + encoded(payload);
  return signed_part + "." + to_base64url(key.sign(as_bytes(signed_part)));
}

std::string header_of(std::string_view token) {
  const auto bytes = from_base64url(token.substr(0, token.find('.')));
  return bytes ? std::string(as_text(*bytes)) : "";
}

class JwtKeyType : public ::testing::TestWithParam<KeyType> {};

TEST_P(JwtKeyType, VerifiesWhatItSigned) {
  const PrivateKey key = PrivateKey::generate(GetParam());
  const std::string token = sign_jwt(key, kClaims, {{"kid", 0}});
  const auto claims = verify_jwt(key.public_key(), token);
  ASSERT_TRUE(claims) << claims.error().what;
  EXPECT_EQ(*claims, kClaims);
}

TEST_P(JwtKeyType, RefusesATokenOfAnotherKey) {
  const std::string token = sign_jwt(PrivateKey::generate(GetParam()), kClaims);
  const auto claims = verify_jwt(PrivateKey::generate(GetParam()).public_key(), token);
  ASSERT_FALSE(claims);
  EXPECT_EQ(claims.error().reason, Reason::unauthorized);
}

TEST_P(JwtKeyType, RefusesAnyChangedCharacter) {
  const PrivateKey key = PrivateKey::generate(GetParam());
  const PublicKey public_key = key.public_key();
  const std::string token = sign_jwt(key, kClaims);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify_jwt(public_key, changed)) << i;
    EXPECT_FALSE(verify_jwt(public_key, token.substr(0, i))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Jwt, JwtKeyType, ::testing::Values(KeyType::rsa, KeyType::ed25519),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(Jwt, HasTheHeaderThatTheSpecificationShows) {
  const PrivateKey rsa = PrivateKey::generate(KeyType::rsa);
  const PrivateKey ed25519 = PrivateKey::generate(KeyType::ed25519);
  EXPECT_EQ(header_of(sign_jwt(ed25519, kClaims)), R"({"alg":"EdDSA","typ":"JWT"})");
  EXPECT_EQ(header_of(sign_jwt(rsa, kClaims, {{"kid", 0}})), R"({"alg":"RS256","typ":"JWT","kid":0})");
}

TEST(Jwt, VerifiesTheVectorOfRfc8037) {
  const auto key = PublicKey::from_pem(
      "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
      "-----END PUBLIC KEY-----\n");
  ASSERT_TRUE(key);
  const auto claims = verify_jwt(*key,
                                 "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_"
                                 "MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhi"
                                 "jcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
  ASSERT_FALSE(claims);
  EXPECT_EQ(claims.error().what, "token: payload is no JSON object")
      << "the signature is right, the payload a text";
}

TEST(Jwt, NeverTakesTheAlgorithmFromTheToken) {
  const PrivateKey rsa = PrivateKey::generate(KeyType::rsa);
  const PrivateKey ed25519 = PrivateKey::generate(KeyType::ed25519);
  for (const char* header : {R"({"alg":"none"})", R"({"alg":"HS256"})", R"({"alg":"RS256"})",
                             R"({"alg":"eddsa"})", R"({"alg":1})", R"({"typ":"JWT"})"}) {
    EXPECT_FALSE(verify_jwt(ed25519.public_key(), signed_raw(ed25519, header, "{}"))) << header;
  }
  EXPECT_FALSE(verify_jwt(rsa.public_key(), signed_raw(rsa, R"({"alg":"EdDSA"})", "{}")));
  EXPECT_FALSE(verify_jwt(ed25519.public_key(), encoded(R"({"alg":"none"})") + "." + encoded("{}") + "."));
}

TEST(Jwt, RefusesEcdsaKeys) {
  const PrivateKey key = PrivateKey::generate(KeyType::ecdsa);
  EXPECT_FALSE(jwt_algorithm(key.type()));
  EXPECT_FALSE(verify_jwt(key.public_key(), signed_raw(key, R"({"alg":"ES256"})", "{}")));
  EXPECT_DEATH(sign_jwt(key, kClaims), "");
}

TEST(Jwt, RefusesCriticalExtensions) {
  const PrivateKey key = PrivateKey::generate(KeyType::ed25519);
  EXPECT_FALSE(verify_jwt(key.public_key(), signed_raw(key, R"({"alg":"EdDSA","crit":["x"],"x":1})", "{}")));
}

TEST(Jwt, RefusesWhatHasNotTheShapeOfAToken) {
  const PrivateKey key = PrivateKey::generate(KeyType::ed25519);
  const PublicKey public_key = key.public_key();
  const std::string token = sign_jwt(key, kClaims);
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), std::string("..."), token + "=", token + ".",
        "." + token, token + "\n", "Bearer " + token, std::string(kJwtBytesMax + 1, 'A')}) {
    const auto claims = verify_jwt(public_key, text);
    ASSERT_FALSE(claims) << text;
    EXPECT_EQ(claims.error().reason, Reason::unauthorized);
  }
  for (const char* payload : {"", "[]", "null", "{", "{}x"}) {
    EXPECT_FALSE(verify_jwt(public_key, signed_raw(key, R"({"alg":"EdDSA"})", payload))) << payload;
  }
  const std::string deep = R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_FALSE(verify_jwt(public_key, signed_raw(key, R"({"alg":"EdDSA"})", deep)));
  EXPECT_TRUE(verify_jwt(public_key, signed_raw(key, R"({"alg":"EdDSA"})", "{}")));
}

bool in_time(const json::object& claims, WallTime now, Duration leeway = 0s) {
  return check_jwt_times(claims, now, leeway).has_value();
}

TEST(JwtTimes, EndAtExpiry) {
  const json::object claims{{"exp", 1000}};
  EXPECT_TRUE(in_time(claims, WallTime(999'999ms)));
  EXPECT_FALSE(in_time(claims, WallTime(1000s)));
  EXPECT_TRUE(in_time(claims, WallTime(1000s), 1s));
}

TEST(JwtTimes, BeginAtNotBefore) {
  const json::object claims{{"nbf", 1000}};
  EXPECT_FALSE(in_time(claims, WallTime(999s)));
  EXPECT_TRUE(in_time(claims, WallTime(999s), 1s));
  EXPECT_TRUE(in_time(claims, WallTime(1000s)));
}

TEST(JwtTimes, AcceptTheZeroTimeThatServersWriteAsNotBefore) {
  EXPECT_TRUE(in_time({{"nbf", -62135596800}, {"exp", 2'000'000'000}}, WallTime(1'700'000'000s)));
}

TEST(JwtTimes, AreOptionalButHaveToBeNumbers) {
  EXPECT_TRUE(in_time({}, WallTime(0s)));
  EXPECT_FALSE(in_time({{"exp", "tomorrow"}}, WallTime(0s)));
  EXPECT_FALSE(in_time({{"nbf", nullptr}}, WallTime(0s)));
  EXPECT_FALSE(in_time({{"exp", -1e300}}, WallTime(0s)));
}

}  // namespace
}  // namespace postern
