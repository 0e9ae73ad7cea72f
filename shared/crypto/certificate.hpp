// X.509 certificates, and the rules by which cloud, gateway and device accept them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shared/base/bytes.hpp"
#include "shared/base/clock.hpp"
#include "shared/crypto/digest.hpp"
#include "shared/crypto/keys.hpp"

struct x509_st;

namespace postern {

/// What a leaf certificate is used for.
enum class CertificateUsage {
  tls_server,    ///< cloud and gateway towards whoever connects to them
  tls_client,    ///< device and gateway towards whom they connect to
  plan_signing,  ///< signs leases, bundles and time
};

std::string_view to_string(CertificateUsage usage);

namespace detail {
struct FreeCertificate {
  void operator()(x509_st* certificate) const;
};
using CertificateHandle = std::unique_ptr<x509_st, FreeCertificate>;
}  // namespace detail

/// A certificate as it was parsed; nothing about it is verified. Copies are cheap and share the parsed form.
/// Thread-safe.
class Certificate {
 public:
  /// Reads the first block `CERTIFICATE`; other blocks before it are skipped. Errors: invalid.
  static Result<Certificate> from_pem(std::string_view pem);
  /// Reads every block `CERTIFICATE` in its order: a chain with the leaf first, or a set of trust anchors.
  /// Errors: invalid, also when there is none; too_large beyond 4 MiB or 1000 certificates.
  static Result<std::vector<Certificate>> list_from_pem(std::string_view pem);
  /// Errors: invalid, also for bytes after the certificate.
  static Result<Certificate> from_der(Bytes der);
  explicit Certificate(detail::CertificateHandle certificate);
  /// Takes a share of a certificate that somebody else owns, as a TLS session does.
  static Certificate share(x509_st* certificate);

  Certificate(const Certificate& other);
  Certificate& operator=(const Certificate& other);
  Certificate(Certificate&&) noexcept = default;
  Certificate& operator=(Certificate&&) noexcept = default;
  ~Certificate() = default;

  /// Distinguished names as RFC 2253 text in UTF-8, control characters escaped: "CN=press-7,O=Plant".
  std::string subject() const;
  std::string issuer() const;
  /// Lower-case hexadecimal in the form of normalize_serial.
  std::string serial() const;
  /// The value of one field of the subject, by its short name ("CN", "O", "OU", "serialNumber", "UID",
  /// "emailAddress"). None when the field is missing, stands there twice, or holds a control character: a
  /// name that somebody is known by has to be one name.
  std::optional<std::string> subject_field(std::string_view field) const;
  /// Subject alternative names.
  std::vector<std::string> dns_names() const;
  std::vector<std::string> ip_addresses() const;

  /// Whether it may sign certificates: basic constraints, or what stands in for them in old certificates.
  bool is_ca() const;
  WallTime not_before() const;
  WallTime not_after() const;
  /// The usages that it names; none when it has no extended key usage at all.
  std::optional<std::vector<CertificateUsage>> usages() const;
  /// Errors: invalid for a key type that PublicKey does not know.
  Result<PublicKey> public_key() const;
  /// SHA-256 over the DER form. Costs nothing: it is known from the start, as servers look it up for every
  /// request.
  const Digest& fingerprint() const { return fingerprint_; }
  std::string to_pem() const;
  std::vector<std::byte> to_der() const;

  /// Whether `authority` has this certificate's issuer as its subject, and its key made the signature.
  bool is_signed_by(const Certificate& authority) const;

  x509_st* handle() const { return certificate_.get(); }

 private:
  Certificate(detail::CertificateHandle certificate, const Digest& fingerprint)
      : certificate_(std::move(certificate)), fingerprint_(fingerprint) {}

  detail::CertificateHandle certificate_;
  Digest fingerprint_{};
};

/// The one form of a serial number: lower-case hexadecimal of even length without leading zero bytes. Takes
/// both cases, "0x" in front, and colons between the bytes. Errors: invalid.
Result<std::string> normalize_serial(std::string_view text);

/// Whether a leaf may be used so. A CA certificate is never a leaf. For TLS an extended key usage may be
/// absent (device-protocol 8.8, G9), but when present it has to contain the usage; for plan signing it has to
/// be present. Says nothing about issuer, time and revocation. Errors: unauthorized.
Status check_usage(const Certificate& leaf, CertificateUsage usage);

/// Errors: unauthorized before notBefore and after notAfter.
Status check_validity(const Certificate& certificate, WallTime now);

}  // namespace postern
