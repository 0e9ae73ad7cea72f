#include "shared/artifact/signature.hpp"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "shared/artifact/reader.hpp"
#include "shared/artifact/summary.hpp"
#include "shared/testing/artifact_builder.hpp"

namespace postern {
namespace {

using testing::ArtifactSpec;
using testing::build_artifact;
using testing::build_manifest;

using Signature = std::vector<std::byte>;

/// Keys take long to make: once for all tests.
struct Keys {
  PrivateKey rsa = PrivateKey::generate(KeyType::rsa);
  PrivateKey other_rsa = PrivateKey::generate(KeyType::rsa);
  PrivateKey p256 = PrivateKey::generate(KeyType::ecdsa);
  PrivateKey p384{detail::KeyHandle(EVP_EC_gen("P-384"))};
  PrivateKey ed25519 = PrivateKey::generate(KeyType::ed25519);
};

const Keys& keys() {
  static const Keys made;
  return made;
}

Signature sign_with(const PrivateKey& key, const EVP_MD* digest, int rsa_padding, Bytes message) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* key_context = nullptr;
  EXPECT_EQ(EVP_DigestSignInit(context.get(), &key_context, digest, nullptr, key.handle()), 1);
  EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(key_context, rsa_padding), 1);
  std::size_t size = 1024;
  Signature signature(size);
  EXPECT_EQ(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                           as_uchars(message), message.size()),
            1);
  signature.resize(size);
  return signature;
}

/// An ECDSA signature as r and s of 32 bytes each.
Signature raw_of(const Signature& der) {
  const unsigned char* at = as_uchars(der);
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> parsed(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), ECDSA_SIG_free);
  Signature raw(64);
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  EXPECT_EQ(BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out, 32), 32);
  EXPECT_EQ(BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out + 32, 32), 32);
  return raw;
}

std::string wrapped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 76) out += text.substr(i, 76) + "\n";
  return out;
}

Bytes manifest() {
  static const std::string text = build_manifest({});
  return as_bytes(text);
}

/// What a reader with the keys says to the artifact whose manifest.sig is `text`.
std::string refusal(const std::optional<std::string>& text, const std::vector<const PrivateKey*>& trusted) {
  std::vector<PublicKey> public_keys;
  for (const PrivateKey* key : trusted) public_keys.push_back(key->public_key());
  ArtifactSpec spec;
  spec.signature = text;
  ArtifactSummary summary;
  ArtifactReader reader({.keys = public_keys}, summary);
  Status status = reader.feed(as_bytes(build_artifact(spec)));
  if (status) status = reader.finish();
  return status ? "" : status.error().what;
}

constexpr std::string_view kNotOurs = "manifest.sig: the signature is not of any configured key";

TEST(ArtifactSignature, AcceptsRsa) {
  const std::string text = to_base64(keys().rsa.sign(manifest()));
  EXPECT_EQ(text.size(), 512);
  EXPECT_EQ(refusal(text, {&keys().rsa}), "");
}

TEST(ArtifactSignature, AcceptsEcdsaAsRawNumbersAndAsDer) {
  const Signature der = keys().p256.sign(manifest());
  EXPECT_EQ(refusal(to_base64(raw_of(der)), {&keys().p256}), "");
  EXPECT_EQ(refusal(to_base64(der), {&keys().p256}), "");
  EXPECT_EQ(refusal(to_base64(keys().p384.sign(manifest())), {&keys().p384}), "");
}

TEST(ArtifactSignature, AcceptsWhiteSpace) {
  const std::string text = to_base64(keys().rsa.sign(manifest()));
  EXPECT_EQ(refusal(text + "\n", {&keys().rsa}), "");
  EXPECT_EQ(refusal(wrapped(text), {&keys().rsa}), "");
  EXPECT_EQ(refusal(" \t" + text + "\r\n", {&keys().rsa}), "");
}

TEST(ArtifactSignature, AcceptsTheFirstKeyThatFits) {
  const std::string text = to_base64(keys().rsa.sign(manifest()));
  EXPECT_EQ(refusal(text, {&keys().p256, &keys().rsa}), "");
  EXPECT_EQ(refusal(text, {&keys().ed25519, &keys().rsa}), "");
  EXPECT_EQ(refusal(text, {&keys().other_rsa, &keys().rsa}), "");
}

TEST(ArtifactSignature, RefusesKeysThatDoNotFit) {
  const std::string text = to_base64(keys().rsa.sign(manifest()));
  EXPECT_EQ(refusal(text, {&keys().other_rsa}), kNotOurs);
  EXPECT_EQ(refusal(text, {&keys().p256}), kNotOurs);
  EXPECT_EQ(refusal(to_base64(keys().p256.sign(manifest())), {&keys().rsa}), kNotOurs);
}

TEST(ArtifactSignature, RefusesEd25519) {
  EXPECT_EQ(refusal(to_base64(keys().ed25519.sign(manifest())), {&keys().ed25519}), kNotOurs);
}

TEST(ArtifactSignature, RefusesOtherRsaForms) {
  const auto text = [](const EVP_MD* digest, int padding) {
    return to_base64(sign_with(keys().rsa, digest, padding, manifest()));
  };
  EXPECT_EQ(refusal(text(EVP_sha256(), RSA_PKCS1_PADDING), {&keys().rsa}), "");
  EXPECT_EQ(refusal(text(EVP_sha256(), RSA_PKCS1_PSS_PADDING), {&keys().rsa}), kNotOurs);
  EXPECT_EQ(refusal(text(EVP_sha1(), RSA_PKCS1_PADDING), {&keys().rsa}), kNotOurs);
  EXPECT_EQ(refusal(text(EVP_sha512(), RSA_PKCS1_PADDING), {&keys().rsa}), kNotOurs);
}

TEST(ArtifactSignature, RefusesLittleEndianNumbers) {
  Signature raw = raw_of(keys().p256.sign(manifest()));
  std::ranges::reverse(std::span(raw).first(32));
  std::ranges::reverse(std::span(raw).last(32));
  EXPECT_EQ(refusal(to_base64(raw), {&keys().p256}), kNotOurs);
}

TEST(ArtifactSignature, RefusesTextsThatAreNoBase64) {
  const Signature signature = keys().rsa.sign(manifest());
  const std::string raw_bytes(as_text(signature));
  EXPECT_THAT(refusal(raw_bytes, {&keys().rsa}), ::testing::StartsWith("manifest.sig: "));
  std::string url_safe = to_base64(signature);
  url_safe[7] = '-';
  EXPECT_THAT(refusal(url_safe, {&keys().rsa}), ::testing::StartsWith("manifest.sig: "));
  std::string unpadded = to_base64(raw_of(keys().p256.sign(manifest())));
  ASSERT_TRUE(unpadded.ends_with("=="));
  unpadded.resize(unpadded.size() - 2);
  EXPECT_THAT(refusal(unpadded, {&keys().p256}), ::testing::StartsWith("manifest.sig: "));
  EXPECT_EQ(refusal("", {&keys().rsa}), "manifest.sig: is empty");
}

TEST(ArtifactSignature, RefusesAChangedManifest) {
  std::string changed(as_text(manifest()));
  changed[0] = changed[0] == '0' ? '1' : '0';
  const std::string text = to_base64(keys().rsa.sign(as_bytes(changed)));
  EXPECT_EQ(refusal(text, {&keys().rsa}), kNotOurs);
}

TEST(ArtifactSignature, IsNeededOnceThereAreKeys) {
  EXPECT_EQ(refusal(std::nullopt, {&keys().rsa}),
            "manifest.sig: expecting signed artifact, but no signature file found");
  EXPECT_EQ(refusal("AAAA", {&keys().rsa}), kNotOurs);
}

TEST(ArtifactSignature, IsNeededWhenNoConfiguredKeyCouldBeLoaded) {
  ArtifactSpec spec;
  for (const auto& text : {std::optional<std::string>(), std::optional<std::string>("AAAA")}) {
    spec.signature = text;
    ArtifactSummary summary;
    ArtifactReader reader({.require_signature = true}, summary);
    EXPECT_FALSE(reader.feed(as_bytes(build_artifact(spec))));
  }
}

TEST(ArtifactSignature, TellsTheConsumerWhatItIsWorth) {
  struct Seen final : ArtifactConsumer {
    std::optional<postern::ArtifactSignature> signature;
    Status on_header(const ArtifactHeader&, postern::ArtifactSignature given) override {
      signature = given;
      return {};
    }
    Status on_file_begin(const ArtifactFile&) override { return {}; }
    Status on_file_data(Bytes) override { return {}; }
    Status on_file_end(const Digest&) override { return {}; }
  };
  const auto signature_of = [](const ArtifactSpec& spec, std::span<const PublicKey> trusted) {
    Seen seen;
    ArtifactReader reader({.keys = trusted}, seen);
    EXPECT_TRUE(reader.feed(as_bytes(build_artifact(spec))));
    return seen.signature;
  };
  ArtifactSpec spec;
  EXPECT_EQ(signature_of(spec, {}), postern::ArtifactSignature::absent);
  spec.key = &keys().p256;
  EXPECT_EQ(signature_of(spec, {}), postern::ArtifactSignature::unchecked);
  const std::vector<PublicKey> trusted = [] {
    std::vector<PublicKey> one;
    one.push_back(keys().p256.public_key());
    return one;
  }();
  EXPECT_EQ(signature_of(spec, trusted), postern::ArtifactSignature::verified);
}

}  // namespace
}  // namespace postern
