#include "gateway/admission/binding.hpp"

namespace postern::gateway {
namespace {

constexpr std::array<std::pair<Rebinding, std::string_view>, 4> kPolicies{{
    {Rebinding::same_key, "same-key"},
    {Rebinding::same_subject, "same-subject"},
    {Rebinding::approved, "approved"},
    {Rebinding::any, "any"},
}};

BindingDecision refuse(std::string reason) {
  return {.verdict = BindingVerdict::refuse, .reason = std::move(reason)};
}

}  // namespace

std::string_view to_string(Rebinding policy) {
  return std::ranges::find(kPolicies, policy, &std::pair<Rebinding, std::string_view>::first)->second;
}

std::optional<Rebinding> parse_rebinding(std::string_view word) {
  const auto found = std::ranges::find(kPolicies, word, &std::pair<Rebinding, std::string_view>::second);
  if (found == kPolicies.end()) return std::nullopt;
  return found->first;
}

Result<CertificateIdentity> identify(const Certificate& certificate, const std::string& name_field) {
  const auto key = certificate.public_key();
  if (!key) return unauthorized(key.error().what);
  CertificateIdentity identity{.issuer = certificate.issuer(),
                               .subject = certificate.subject(),
                               .key = sha256(key->to_der()),
                               .name = {},
                               .fingerprint = certificate.fingerprint()};
  if (!name_field.empty()) {
    auto name = certificate.subject_field(name_field);
    if (!name || name->empty()) {
      return unauthorized(
          fmt::format("certificate {} has no one field {} in its subject", identity.subject, name_field));
    }
    identity.name = *std::move(name);
  }
  return identity;
}

bool Binding::is_held_by(const CertificateIdentity& certificate) const {
  if (!certificate.name.empty()) return issuer == certificate.issuer && certificate_name == certificate.name;
  return certificate_key == certificate.key;
}

BindingDecision decide(const Claim& claim, const Binding* of_identity, const Binding* of_certificate,
                       Rebinding policy, const std::function<bool(const Digest& fingerprint)>& is_approved) {
  if (of_certificate != nullptr && of_certificate->identity_hash != claim.identity_hash &&
      policy != Rebinding::any) {
    return refuse(fmt::format("the certificate belongs to {}", of_certificate->identity));
  }
  if (of_identity == nullptr) return {.verdict = BindingVerdict::bind, .reason = {}};
  const bool same_certificate = of_identity->is_held_by(claim.certificate);
  const bool same_device_key = of_identity->device_key == claim.device_key;
  if (same_certificate && same_device_key) {
    // A renewed certificate for the same key may have another subject; what is kept follows it.
    const bool unchanged = of_identity->subject == claim.certificate.subject &&
                           of_identity->issuer == claim.certificate.issuer &&
                           of_identity->certificate_key == claim.certificate.key;
    return {.verdict = unchanged ? BindingVerdict::known : BindingVerdict::rebind, .reason = {}};
  }
  switch (policy) {
    case Rebinding::same_key:
      return refuse(same_certificate ? "the device key is another one, and the policy is same-key"
                                     : "the identity is bound to another certificate key");
    case Rebinding::same_subject:
      if (same_certificate || (of_identity->issuer == claim.certificate.issuer &&
                               of_identity->subject == claim.certificate.subject)) {
        break;
      }
      return refuse(fmt::format("the identity is bound to certificates for {}", of_identity->subject));
    case Rebinding::approved:
      if (same_certificate || is_approved(claim.certificate.fingerprint)) break;
      return refuse(fmt::format("the certificate with fingerprint {} is not approved for this identity",
                                to_hex(claim.certificate.fingerprint)));
    case Rebinding::any:
      break;
  }
  return {.verdict = BindingVerdict::rebind, .reason = {}};
}

}  // namespace postern::gateway
