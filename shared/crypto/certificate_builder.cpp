#include "shared/crypto/certificate_builder.hpp"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "shared/base/check.hpp"
#include "shared/crypto/x509_values.hpp"

namespace postern {
namespace {

constexpr std::size_t kRequestBytesMax = 64 << 10;
constexpr std::size_t kAlternativeNamesMax = 100;
constexpr std::size_t kSerialBytes = 16;
/// The last second that a certificate can name (RFC 5280 4.1.2.5).
constexpr WallTime kTimeMax =
    std::chrono::sys_days(std::chrono::year(10000) / std::chrono::January / 1) - std::chrono::seconds(1);

struct Free {
  void operator()(X509_NAME* name) const { X509_NAME_free(name); }
  void operator()(X509_CRL* list) const { X509_CRL_free(list); }
  void operator()(X509_REVOKED* entry) const { X509_REVOKED_free(entry); }
  void operator()(X509_REQ* request) const { X509_REQ_free(request); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  // Integers, enumerated values and times are one type.
  void operator()(ASN1_STRING* value) const { ASN1_STRING_free(value); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

const EVP_MD* digest_for(const PrivateKey& key) {
  return key.type() == KeyType::ed25519 ? nullptr : EVP_sha256();
}

Owned<ASN1_TIME> asn1_time(WallTime time) {
  Owned<ASN1_TIME> out(ASN1_TIME_set(nullptr, static_cast<std::time_t>(unix_seconds(time))));
  POSTERN_ASSERT(out != nullptr);
  return out;
}

Owned<ASN1_INTEGER> asn1_integer(Bytes bytes) {
  const Owned<BIGNUM> number(BN_bin2bn(as_uchars(bytes), static_cast<int>(bytes.size()), nullptr));
  Owned<ASN1_INTEGER> out(BN_to_ASN1_INTEGER(number.get(), nullptr));
  POSTERN_ASSERT(out != nullptr);
  return out;
}

Status add_field(X509_NAME* name, int nid, std::string_view what, const std::string& value) {
  const bool has_control = std::ranges::any_of(value, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  // The library itself bounds the length of each field (RFC 5280, upper bounds) and checks the UTF-8.
  if (value.empty() || has_control ||
      X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(value.data()),
                                 static_cast<int>(value.size()), -1, 0) != 1) {
    ERR_clear_error();
    return invalid(
        fmt::format("{} \"{}\" is not 1 to 64 characters without control characters", what, value));
  }
  return {};
}

Result<Owned<X509_NAME>> subject_of(const CertificateSpec& spec) {
  Owned<X509_NAME> name(X509_NAME_new());
  POSTERN_ASSERT(name != nullptr);
  if (!spec.organization.empty()) {
    POSTERN_CHECK(add_field(name.get(), NID_organizationName, "organization", spec.organization));
  }
  if (!spec.organizational_unit.empty()) {
    POSTERN_CHECK(
        add_field(name.get(), NID_organizationalUnitName, "organizational unit", spec.organizational_unit));
  }
  POSTERN_CHECK(add_field(name.get(), NID_commonName, "name", spec.common_name));
  if (!spec.number.empty()) POSTERN_CHECK(add_field(name.get(), NID_serialNumber, "number", spec.number));
  return name;
}

bool is_label(std::string_view label) {
  const bool spelled = std::ranges::all_of(label, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  return spelled && !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-';
}

Status check_dns_name(std::string_view name) {
  std::string_view rest = name;
  if (rest.starts_with("*.")) rest.remove_prefix(2);
  bool ok = !rest.empty() && name.size() <= 253;
  std::string_view label;
  while (ok) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    label = rest.substr(0, dot);
    ok = is_label(label);
    if (dot == rest.size()) break;
    rest.remove_prefix(dot + 1);
  }
  // An IPv4 address reads like a name, but no client looks for it there.
  const bool is_number = std::ranges::all_of(label, [](unsigned char c) { return c >= '0' && c <= '9'; });
  if (!ok || is_number) return invalid(fmt::format("\"{}\" is not a DNS name", name));
  return {};
}

/// In the syntax of OpenSSL's configuration. The names are checked first, so that none can smuggle in more.
Result<std::string> alternative_names(const CertificateSpec& spec) {
  if (spec.dns_names.size() + spec.ip_addresses.size() > kAlternativeNamesMax) {
    return invalid(fmt::format("more than {} alternative names", kAlternativeNamesMax));
  }
  std::vector<std::string> names;
  for (const std::string& name : spec.dns_names) {
    POSTERN_CHECK(check_dns_name(name));
    names.push_back("DNS:" + name);
  }
  for (const std::string& address : spec.ip_addresses) {
    std::array<std::byte, 16> parsed{};
    if (inet_pton(AF_INET, address.c_str(), parsed.data()) != 1 &&
        inet_pton(AF_INET6, address.c_str(), parsed.data()) != 1) {
      return invalid(fmt::format("\"{}\" is not an IP address", address));
    }
    names.push_back("IP:" + address);
  }
  return fmt::format("{}", fmt::join(names, ","));
}

std::string extended_usage(const std::vector<CertificateUsage>& usages) {
  std::vector<std::string_view> names;
  for (const CertificateUsage usage : usages) {
    switch (usage) {
      case CertificateUsage::tls_server:
        names.emplace_back("serverAuth");
        break;
      case CertificateUsage::tls_client:
        names.emplace_back("clientAuth");
        break;
      case CertificateUsage::plan_signing:
        names.emplace_back("codeSigning");
        break;
    }
  }
  return fmt::format("{}", fmt::join(names, ","));
}

std::string key_usage(const CertificateSpec& spec, const PublicKey& key) {
  if (spec.is_ca) return "critical,keyCertSign,cRLSign";
  const bool is_rsa_server =
      key.type() == KeyType::rsa &&
      std::ranges::find(spec.usages, CertificateUsage::tls_server) != spec.usages.end();
  return is_rsa_server ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  POSTERN_ASSERT(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

/// `issuer` is null for a self-signed certificate.
Result<Certificate> build(const CertificateSpec& spec, const PublicKey& subject, const Certificate* issuer,
                          const PrivateKey& issuer_key, Random& random) {
  if (spec.not_after < spec.not_before || spec.not_before < WallTime{} || spec.not_after > kTimeMax) {
    return invalid(fmt::format("from {} to {} is not a period of time that a certificate can have",
                               to_rfc3339(spec.not_before), to_rfc3339(spec.not_after)));
  }
  POSTERN_TRY(const auto name, subject_of(spec));
  POSTERN_TRY(const std::string names, alternative_names(spec));

  detail::CertificateHandle made(X509_new());
  X509* x = made.get();
  POSTERN_ASSERT(x != nullptr && X509_set_version(x, X509_VERSION_3) == 1);
  X509* signer = issuer != nullptr ? issuer->handle() : x;
  auto serial = random.bytes(kSerialBytes);
  // Never zero, and always of the same length.
  if (serial.front() == std::byte{0}) serial.front() = std::byte{1};
  POSTERN_ASSERT(X509_set_serialNumber(x, asn1_integer(serial).get()) == 1 &&
                 X509_set_subject_name(x, name.get()) == 1 &&
                 X509_set_issuer_name(x, X509_get_subject_name(signer)) == 1 &&
                 X509_set1_notBefore(x, asn1_time(spec.not_before).get()) == 1 &&
                 X509_set1_notAfter(x, asn1_time(spec.not_after).get()) == 1 &&
                 X509_set_pubkey(x, subject.handle()) == 1);

  add_extension(x, signer, NID_basic_constraints,
                spec.is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE");
  add_extension(x, signer, NID_key_usage, key_usage(spec, subject));
  if (!spec.usages.empty()) add_extension(x, signer, NID_ext_key_usage, extended_usage(spec.usages));
  if (!names.empty()) add_extension(x, signer, NID_subject_alt_name, names);
  add_extension(x, signer, NID_subject_key_identifier, "hash");
  add_extension(x, signer, NID_authority_key_identifier, "keyid:always");
  POSTERN_ASSERT(X509_sign(x, issuer_key.handle(), digest_for(issuer_key)) > 0);
  // Read back, so that the parsed form is that of the bytes others will see.
  return Certificate::from_der(Certificate(std::move(made)).to_der());
}

Status add_revoked(X509_CRL* list, const RevokedSerial& revoked) {
  POSTERN_TRY(const std::string normal, normalize_serial(revoked.serial));
  POSTERN_TRY(const auto serial, from_hex(normal));
  Owned<X509_REVOKED> entry(X509_REVOKED_new());
  POSTERN_ASSERT(entry && X509_REVOKED_set_serialNumber(entry.get(), asn1_integer(serial).get()) == 1 &&
                 X509_REVOKED_set_revocationDate(entry.get(), asn1_time(revoked.revoked_at).get()) == 1);
  // RFC 5280 5.3.1: an unspecified reason is left out.
  if (revoked.reason != RevocationReason::unspecified) {
    const Owned<ASN1_ENUMERATED> reason(ASN1_ENUMERATED_new());
    const int code = revoked.reason == RevocationReason::key_compromise ? CRL_REASON_KEY_COMPROMISE
                     : revoked.reason == RevocationReason::superseded   ? CRL_REASON_SUPERSEDED
                                                                        : CRL_REASON_CESSATION_OF_OPERATION;
    POSTERN_ASSERT(reason && ASN1_ENUMERATED_set(reason.get(), code) == 1 &&
                   X509_REVOKED_add1_ext_i2d(entry.get(), NID_crl_reason, reason.get(), 0, 0) == 1);
  }
  POSTERN_ASSERT(X509_CRL_add0_revoked(list, entry.release()) == 1);
  return {};
}

}  // namespace

Result<Certificate> make_certificate(const CertificateSpec& spec, const PublicKey& subject,
                                     const Certificate& issuer, const PrivateKey& issuer_key,
                                     Random& random) {
  return build(spec, subject, &issuer, issuer_key, random);
}

Result<Certificate> make_self_signed(const CertificateSpec& spec, const PrivateKey& key, Random& random) {
  return build(spec, key.public_key(), nullptr, key, random);
}

Result<std::string> make_revocation_list(const RevocationListSpec& spec, const Certificate& issuer,
                                         const PrivateKey& issuer_key) {
  const Owned<X509_CRL> list(X509_CRL_new());
  X509_CRL* crl = list.get();
  POSTERN_ASSERT(crl != nullptr && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
                 X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer.handle())) == 1 &&
                 X509_CRL_set1_lastUpdate(crl, asn1_time(spec.this_update).get()) == 1 &&
                 X509_CRL_set1_nextUpdate(crl, asn1_time(spec.next_update).get()) == 1);
  for (const RevokedSerial& revoked : spec.revoked) POSTERN_CHECK(add_revoked(crl, revoked));

  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer.handle(), nullptr, nullptr, crl, 0);
  const Owned<X509_EXTENSION> key_id(
      X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always"));
  const Owned<ASN1_INTEGER> number(ASN1_INTEGER_new());
  POSTERN_ASSERT(key_id && X509_CRL_add_ext(crl, key_id.get(), -1) == 1 && number &&
                 ASN1_INTEGER_set_uint64(number.get(), spec.number) == 1 &&
                 X509_CRL_add1_ext_i2d(crl, NID_crl_number, number.get(), 0, 0) == 1);
  POSTERN_ASSERT(X509_CRL_sort(crl) == 1 &&
                 X509_CRL_sign(crl, issuer_key.handle(), digest_for(issuer_key)) > 0);
  const x509::Bio bio(BIO_new(BIO_s_mem()));
  POSTERN_ASSERT(PEM_write_bio_X509_CRL(bio.get(), crl) == 1);
  return x509::text_of(bio);
}

Result<PublicKey> public_key_of_request(std::string_view pem) {
  if (pem.size() > kRequestBytesMax) return invalid("signing request text is too long");
  const x509::Bio in = x509::read_only(pem);
  const Owned<X509_REQ> request(PEM_read_bio_X509_REQ(in.get(), nullptr, nullptr, nullptr));
  EVP_PKEY* key = request ? X509_REQ_get0_pubkey(request.get()) : nullptr;
  const bool is_signed = key != nullptr && X509_REQ_verify(request.get(), key) == 1;
  const x509::Bio out(BIO_new(BIO_s_mem()));
  const bool written = is_signed && PEM_write_bio_PUBKEY(out.get(), key) == 1;
  ERR_clear_error();
  if (!request) return invalid("cannot decode signing request: a PEM block CERTIFICATE REQUEST is expected");
  if (!written) return invalid("the signing request is not signed with its own key");
  return PublicKey::from_pem(x509::text_of(out));
}

}  // namespace postern
