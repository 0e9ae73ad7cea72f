#include "shared/testing/certificates.hpp"

#include <memory>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "shared/base/check.hpp"
#include "shared/crypto/keys.hpp"

namespace postern::testing {

TestCertificate self_signed(const std::string& name) {
  const PrivateKey key = PrivateKey::generate(KeyType::ecdsa);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24 * 60 * 60);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), subject);
  const bool is_address = name.find_first_not_of("0123456789.:") == std::string::npos;
  const std::string alternative = (is_address ? "IP:" : "DNS:") + name;
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternative.c_str()), X509_EXTENSION_free);
  POSTERN_ASSERT(extension && X509_add_ext(certificate.get(), extension.get(), -1) == 1);
  X509_set_pubkey(certificate.get(), key.handle());
  POSTERN_ASSERT(X509_sign(certificate.get(), key.handle(), EVP_sha256()) > 0);

  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(bio.get(), certificate.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {std::string(data, static_cast<std::size_t>(size)), key.to_pem()};
}

}  // namespace postern::testing
