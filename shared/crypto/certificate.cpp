#include "shared/crypto/certificate.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "shared/base/check.hpp"
#include "shared/crypto/x509_values.hpp"

namespace postern {

std::string_view to_string(CertificateUsage usage) {
  switch (usage) {
    case CertificateUsage::tls_server:
      return "TLS server";
    case CertificateUsage::tls_client:
      return "TLS client";
    case CertificateUsage::plan_signing:
      return "plan signing";
  }
  return "unknown";
}

void detail::FreeCertificate::operator()(x509_st* certificate) const {
  X509_free(certificate);
}

namespace {

constexpr std::size_t kPemBytesMax = 4 << 20;
constexpr std::size_t kCertificatesMax = 1000;
constexpr std::size_t kSerialBytesMax = 64;

constexpr std::array kUsageBits{
    std::pair{CertificateUsage::tls_server, static_cast<std::uint32_t>(XKU_SSL_SERVER)},
    std::pair{CertificateUsage::tls_client, static_cast<std::uint32_t>(XKU_SSL_CLIENT)},
    std::pair{CertificateUsage::plan_signing, static_cast<std::uint32_t>(XKU_CODE_SIGN)},
};

struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
using Names = std::unique_ptr<GENERAL_NAMES, FreeNames>;

Names alternative_names(const X509* certificate) {
  Names names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  return names;
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// The key usage bits of which one at least has to be set, when there are any.
std::uint32_t key_usage_for(CertificateUsage usage) {
  if (usage == CertificateUsage::tls_server) {
    return KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT;
  }
  return usage == CertificateUsage::tls_client ? KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT
                                               : KU_DIGITAL_SIGNATURE;
}

}  // namespace

Result<std::vector<Certificate>> Certificate::list_from_pem(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return rejected(Reason::too_large, "certificate text is too long");
  const x509::Bio bio = x509::read_only(pem);
  std::vector<Certificate> list;
  while (true) {
    detail::CertificateHandle certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    if (list.size() == kCertificatesMax) return rejected(Reason::too_large, "too many certificates");
    list.emplace_back(std::move(certificate));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) return invalid(fmt::format("cannot decode certificate {}", list.size() + 1));
  if (list.empty()) return invalid("no certificate: a PEM block CERTIFICATE is expected");
  return list;
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return rejected(Reason::too_large, "certificate text is too long");
  const x509::Bio bio = x509::read_only(pem);
  detail::CertificateHandle certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!certificate) return invalid("cannot decode certificate: a PEM block CERTIFICATE is expected");
  return Certificate(std::move(certificate));
}

Result<Certificate> Certificate::from_der(Bytes der) {
  const unsigned char* cursor = as_uchars(der);
  detail::CertificateHandle certificate(d2i_X509(nullptr, &cursor, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!certificate || cursor != as_uchars(der) + der.size()) return invalid("cannot decode certificate");
  return Certificate(std::move(certificate));
}

Certificate::Certificate(detail::CertificateHandle certificate) : certificate_(std::move(certificate)) {
  POSTERN_ASSERT(certificate_ != nullptr);
  fingerprint_ = sha256(to_der());
}

namespace {

detail::CertificateHandle share_handle(x509_st* certificate) {
  POSTERN_ASSERT(certificate != nullptr && X509_up_ref(certificate) == 1);
  return detail::CertificateHandle(certificate);
}

}  // namespace

Certificate Certificate::share(x509_st* certificate) {
  return Certificate(share_handle(certificate));
}

Certificate::Certificate(const Certificate& other)
    : Certificate(share_handle(other.handle()), other.fingerprint_) {}

Certificate& Certificate::operator=(const Certificate& other) {
  if (this != &other) *this = Certificate(other);
  return *this;
}

std::string Certificate::subject() const {
  return x509::name_text(X509_get_subject_name(handle()));
}

std::string Certificate::issuer() const {
  return x509::name_text(X509_get_issuer_name(handle()));
}

std::string Certificate::serial() const {
  return x509::serial_text(X509_get0_serialNumber(handle()));
}

std::optional<std::string> Certificate::subject_field(std::string_view field) const {
  const int nid = OBJ_sn2nid(std::string(field).c_str());
  if (nid == NID_undef) return std::nullopt;
  const X509_NAME* name = X509_get_subject_name(handle());
  const int index = X509_NAME_get_index_by_NID(name, nid, -1);
  if (index < 0 || X509_NAME_get_index_by_NID(name, nid, index) >= 0) return std::nullopt;
  const auto value = x509::utf8_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (!value || value->empty() || has_control_character(*value)) return std::nullopt;
  return value;
}

std::vector<std::string> Certificate::dns_names() const {
  const Names names = alternative_names(handle());
  std::vector<std::string> out;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const auto text = x509::utf8_text(name->d.dNSName);
    if (text && !has_control_character(*text)) out.push_back(*text);
  }
  return out;
}

std::vector<std::string> Certificate::ip_addresses() const {
  const Names names = alternative_names(handle());
  std::vector<std::string> out;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_IPADD) continue;
    const int size = ASN1_STRING_length(name->d.iPAddress);
    if (size != 4 && size != 16) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    POSTERN_ASSERT(inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress),
                             text.data(), text.size()) != nullptr);
    out.emplace_back(text.data());
  }
  return out;
}

bool Certificate::is_ca() const {
  const bool ca = X509_check_ca(handle()) != 0;
  ERR_clear_error();
  return ca;
}

WallTime Certificate::not_before() const {
  return x509::wall_time(X509_get0_notBefore(handle()));
}

WallTime Certificate::not_after() const {
  return x509::wall_time(X509_get0_notAfter(handle()));
}

std::optional<std::vector<CertificateUsage>> Certificate::usages() const {
  const std::uint32_t bits = X509_get_extended_key_usage(handle());
  ERR_clear_error();
  if (bits == UINT32_MAX) return std::nullopt;
  std::vector<CertificateUsage> out;
  for (const auto& [usage, bit] : kUsageBits) {
    if ((bits & bit) != 0) out.push_back(usage);
  }
  return out;
}

Result<PublicKey> Certificate::public_key() const {
  detail::KeyHandle key(X509_get_pubkey(handle()));
  ERR_clear_error();
  if (!key || !PublicKey::takes(*key)) return invalid("the certificate holds no usable public key");
  return PublicKey(std::move(key));
}

std::string Certificate::to_pem() const {
  const x509::Bio bio(BIO_new(BIO_s_mem()));
  POSTERN_ASSERT(PEM_write_bio_X509(bio.get(), handle()) == 1);
  return x509::text_of(bio);
}

std::vector<std::byte> Certificate::to_der() const {
  unsigned char* data = nullptr;
  const int size = i2d_X509(handle(), &data);
  POSTERN_ASSERT(size > 0);
  const auto view = std::as_bytes(std::span(data, static_cast<std::size_t>(size)));
  std::vector<std::byte> out(view.begin(), view.end());
  OPENSSL_free(data);
  return out;
}

bool Certificate::is_signed_by(const Certificate& authority) const {
  EVP_PKEY* key = X509_get0_pubkey(authority.handle());
  const bool ok =
      key != nullptr &&
      X509_NAME_cmp(X509_get_issuer_name(handle()), X509_get_subject_name(authority.handle())) == 0 &&
      X509_verify(handle(), key) == 1;
  ERR_clear_error();
  return ok;
}

Result<std::string> normalize_serial(std::string_view text) {
  std::string digits;
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  for (const char c : text) {
    if (c != ':') digits.push_back(c);
  }
  if (digits.size() % 2 != 0) digits.insert(digits.begin(), '0');
  const auto bytes = from_hex(digits);
  if (!bytes || bytes->empty() || bytes->size() > kSerialBytesMax) {
    return invalid(fmt::format("\"{}\" is not a serial number in hexadecimal", text.substr(0, 64)));
  }
  std::size_t zeros = 0;
  while (zeros + 1 < bytes->size() && (*bytes)[zeros] == std::byte{0}) ++zeros;
  return to_hex(Bytes(*bytes).subspan(zeros));
}

Status check_usage(const Certificate& leaf, CertificateUsage usage) {
  const auto refuse = [&](std::string_view why) {
    return unauthorized(fmt::format("certificate {} (serial {}) {}", leaf.subject(), leaf.serial(), why));
  };
  const bool malformed = (X509_get_extension_flags(leaf.handle()) & EXFLAG_INVALID) != 0;
  ERR_clear_error();
  if (malformed) return refuse("has malformed extensions");
  if (leaf.is_ca()) return refuse("is a CA certificate, which is never a leaf");
  const auto named = leaf.usages();
  const bool fits =
      named ? std::ranges::find(*named, usage) != named->end() : usage != CertificateUsage::plan_signing;
  if (!fits) return refuse(fmt::format("is not for {}", to_string(usage)));
  // All bits are set when the certificate does not restrict the use of its key.
  if ((X509_get_key_usage(leaf.handle()) & key_usage_for(usage)) == 0) {
    return refuse(fmt::format("has a key that may not be used for {}", to_string(usage)));
  }
  return {};
}

Status check_validity(const Certificate& certificate, WallTime now) {
  const auto refuse = [&](std::string_view what, WallTime when) {
    return unauthorized(fmt::format("certificate {} (serial {}) {} {}", certificate.subject(),
                                    certificate.serial(), what, to_rfc3339(when)));
  };
  if (now < certificate.not_before()) return refuse("is not valid before", certificate.not_before());
  if (now > certificate.not_after()) return refuse("expired at", certificate.not_after());
  return {};
}

}  // namespace postern
