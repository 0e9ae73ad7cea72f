// Which certificate may speak for which identity (decision 10): the rule, without any store.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/crypto/certificate.hpp"

namespace postern::gateway {

/// When another certificate, or another device key, may take over an identity that is bound already.
enum class Rebinding {
  same_key,      ///< never another key: only a renewed certificate for the same one
  same_subject,  ///< a certificate of the same issuer for the same subject: renewals with a new key
  approved,      ///< a certificate whose fingerprint an operator has approved
  any,           ///< any certificate that the listener trusts
};

std::string_view to_string(Rebinding policy);
std::optional<Rebinding> parse_rebinding(std::string_view word);

/// A client certificate, as far as bindings look at it.
struct CertificateIdentity {
  std::string issuer;
  std::string subject;
  Digest key{};      ///< SHA-256 of its SubjectPublicKeyInfo
  std::string name;  ///< value of the configured name field; empty: none is configured
  Digest fingerprint{};
};

/// Errors: unauthorized, when it has no usable key or lacks the name field.
Result<CertificateIdentity> identify(const Certificate& certificate, const std::string& name_field);

/// An identity, and whom it belongs to.
struct Binding {
  Digest identity_hash{};
  std::string identity;  ///< canonical JSON
  std::string issuer;
  std::string subject;
  Digest certificate_key{};
  std::string certificate_name;
  Digest device_key{};
  std::optional<Digest> preauthorized_key;  ///< the device key that the upstream has taken from us
  std::vector<Digest> tokens;               ///< SHA-256 of tokens given to it, newest first
  WallTime bound;
  WallTime changed;
  std::uint64_t revision = 0;  ///< counts changes

  /// Whether it is this certificate that the identity is bound to.
  bool is_held_by(const CertificateIdentity& certificate) const;
};

/// Somebody with a certificate who says to be an identity, and has proved to hold a device key.
struct Claim {
  Digest identity_hash{};
  CertificateIdentity certificate;
  Digest device_key{};
};

enum class BindingVerdict { known, bind, rebind, refuse };

struct BindingDecision {
  BindingVerdict verdict = BindingVerdict::refuse;
  std::string reason;  ///< why it is refused
};

/// `of_identity`: the binding of the claimed identity. `of_certificate`: the binding that the certificate
/// holds. Either may be null.
BindingDecision decide(const Claim& claim, const Binding* of_identity, const Binding* of_certificate,
                       Rebinding policy, const std::function<bool(const Digest& fingerprint)>& is_approved);

}  // namespace postern::gateway
