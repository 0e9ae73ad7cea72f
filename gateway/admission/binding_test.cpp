#include "gateway/admission/binding.hpp"

namespace postern::gateway {
namespace {

Digest digest(std::string_view name) {
  return sha256(as_bytes(name));
}

CertificateIdentity certificate(std::string_view key, std::string subject = "CN=press-7",
                                std::string issuer = "CN=CA") {
  return {.issuer = std::move(issuer),
          .subject = std::move(subject),
          .key = digest(key),
          .name = {},
          .fingerprint = digest(fmt::format("certificate for {}", key))};
}

Binding bound(std::string_view identity, const CertificateIdentity& to, std::string_view device_key) {
  Binding binding;
  binding.identity_hash = digest(identity);
  binding.identity = identity;
  binding.issuer = to.issuer;
  binding.subject = to.subject;
  binding.certificate_key = to.key;
  binding.certificate_name = to.name;
  binding.device_key = digest(device_key);
  return binding;
}

Claim claim(std::string_view identity, CertificateIdentity by, std::string_view device_key) {
  return {.identity_hash = digest(identity), .certificate = std::move(by), .device_key = digest(device_key)};
}

BindingVerdict verdict(const Claim& claimed, const Binding* of_identity, const Binding* of_certificate,
                       Rebinding policy = Rebinding::same_subject, bool is_approved = false) {
  return decide(claimed, of_identity, of_certificate, policy, [&](const Digest&) { return is_approved; })
      .verdict;
}

TEST(Binding, IsMadeForAnUnknownIdentityAndCertificate) {
  EXPECT_EQ(verdict(claim("a", certificate("k1"), "d1"), nullptr, nullptr), BindingVerdict::bind);
}

TEST(Binding, IsKnownWhenNothingHasChanged) {
  const Binding a = bound("a", certificate("k1"), "d1");
  EXPECT_EQ(verdict(claim("a", certificate("k1"), "d1"), &a, &a), BindingVerdict::known);
}

TEST(Binding, GivesACertificateToOneIdentityOnly) {
  const Binding a = bound("a", certificate("k1"), "d1");
  const auto decision = decide(claim("b", certificate("k1"), "d2"), nullptr, &a, Rebinding::same_subject,
                               [](const Digest&) { return false; });
  EXPECT_EQ(decision.verdict, BindingVerdict::refuse);
  EXPECT_THAT(decision.reason, ::testing::HasSubstr("belongs to a"));
  EXPECT_EQ(verdict(claim("b", certificate("k1"), "d2"), nullptr, &a, Rebinding::any), BindingVerdict::bind);
}

TEST(Binding, FollowsARenewalWithANewKeyForTheSameSubject) {
  const Binding a = bound("a", certificate("k1"), "d1");
  EXPECT_EQ(verdict(claim("a", certificate("k2"), "d2"), &a, nullptr), BindingVerdict::rebind);
  EXPECT_EQ(verdict(claim("a", certificate("k2", "CN=press-8"), "d2"), &a, nullptr), BindingVerdict::refuse);
  EXPECT_EQ(verdict(claim("a", certificate("k2", "CN=press-7", "CN=other CA"), "d2"), &a, nullptr),
            BindingVerdict::refuse);
}

TEST(Binding, FollowsANewDeviceKeyBehindTheSameCertificateUnlessKeysAreFixed) {
  const Binding a = bound("a", certificate("k1"), "d1");
  EXPECT_EQ(verdict(claim("a", certificate("k1"), "d2"), &a, &a), BindingVerdict::rebind);
  EXPECT_EQ(verdict(claim("a", certificate("k1"), "d2"), &a, &a, Rebinding::same_key),
            BindingVerdict::refuse);
}

TEST(Binding, WithFixedKeysTakesARenewedCertificateForTheSameKey) {
  const Binding a = bound("a", certificate("k1"), "d1");
  EXPECT_EQ(verdict(claim("a", certificate("k1", "CN=press-7 2027"), "d1"), &a, &a, Rebinding::same_key),
            BindingVerdict::rebind);
  EXPECT_EQ(verdict(claim("a", certificate("k2"), "d1"), &a, nullptr, Rebinding::same_key),
            BindingVerdict::refuse);
}

TEST(Binding, AsksForApprovalWhereThatIsThePolicy) {
  const Binding a = bound("a", certificate("k1"), "d1");
  const Claim other = claim("a", certificate("k2", "CN=press-8"), "d1");
  EXPECT_EQ(verdict(other, &a, nullptr, Rebinding::approved, false), BindingVerdict::refuse);
  EXPECT_EQ(verdict(other, &a, nullptr, Rebinding::approved, true), BindingVerdict::rebind);
}

TEST(Binding, GoesByAConfiguredNameInsteadOfTheKey) {
  CertificateIdentity named = certificate("k1");
  named.name = "press-7";
  const Binding a = bound("a", named, "d1");
  CertificateIdentity renewed = certificate("k2", "CN=press-7,O=Plant");
  renewed.name = "press-7";
  EXPECT_TRUE(a.is_held_by(renewed));
  renewed.issuer = "CN=other CA";
  EXPECT_FALSE(a.is_held_by(renewed));
}

TEST(Rebinding, IsReadAndWritten) {
  for (const auto policy :
       {Rebinding::same_key, Rebinding::same_subject, Rebinding::approved, Rebinding::any}) {
    EXPECT_EQ(parse_rebinding(to_string(policy)), policy);
  }
  EXPECT_FALSE(parse_rebinding("never"));
}

}  // namespace
}  // namespace postern::gateway
