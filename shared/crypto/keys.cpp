#include "shared/crypto/keys.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "shared/base/check.hpp"

namespace postern {

std::string_view to_string(KeyType type) {
  switch (type) {
    case KeyType::rsa:
      return "rsa";
    case KeyType::ecdsa:
      return "ecdsa";
    case KeyType::ed25519:
      return "ed25519";
  }
  return "unknown";
}

std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "unknown OpenSSL error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("OpenSSL error {:#x}", code);
}

void detail::FreeKey::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

constexpr std::size_t kPemBytesMax = 64 << 10;

Bio read_only(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<KeyType> type_of(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      return KeyType::rsa;
    case EVP_PKEY_EC:
      return KeyType::ecdsa;
    case EVP_PKEY_ED25519:
      return KeyType::ed25519;
    default:
      return invalid("unrecognized public key type");
  }
}

const EVP_MD* digest_for(KeyType type) {
  return type == KeyType::ed25519 ? nullptr : EVP_sha256();
}

/// An encrypted key gets no passphrase from us, and no question on a terminal either.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

constexpr const char* kNoPublicKey = "cannot decode public key: a PEM block PUBLIC KEY is expected";

/// The next PEM block; nothing when there is none. Errors: invalid, when it is no public key.
Result<std::optional<detail::KeyHandle>> read_public_key(const Bio& bio) {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  ERR_clear_error();
  const int found = PEM_read_bio(bio.get(), &name, &header, &data, &size);
  const bool is_at_end = found != 1 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string block = found == 1 ? name : "";
  detail::KeyHandle key;
  if (block == "PUBLIC KEY") {
    const unsigned char* cursor = data;
    key.reset(d2i_PUBKEY(nullptr, &cursor, size));
    if (key && cursor != data + size) key.reset();
  }
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_free(data);
  ERR_clear_error();
  if (is_at_end) return std::nullopt;
  if (!key) return invalid(kNoPublicKey);
  POSTERN_CHECK(type_of(key.get()));
  return std::optional(std::move(key));
}

}  // namespace

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return invalid("public key text is too long");
  POSTERN_TRY(auto key, read_public_key(read_only(pem)));
  if (!key) return invalid(kNoPublicKey);
  return PublicKey(*std::move(key));
}

Result<std::vector<PublicKey>> PublicKey::list_from_pem(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return invalid("public key text is too long");
  const Bio bio = read_only(pem);
  std::vector<PublicKey> keys;
  for (;;) {
    POSTERN_TRY(auto key, read_public_key(bio));
    if (!key) break;
    keys.push_back(PublicKey(*std::move(key)));
  }
  if (keys.empty()) return invalid(kNoPublicKey);
  return keys;
}

bool PublicKey::takes(const evp_pkey_st& key) {
  return type_of(&key).has_value();
}

PublicKey::PublicKey(detail::KeyHandle key) : key_(std::move(key)) {
  const auto type = type_of(key_.get());
  POSTERN_ASSERT(type.has_value());
  type_ = *type;
}

std::string PublicKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  POSTERN_ASSERT(PEM_write_bio_PUBKEY(bio.get(), key_.get()) == 1);
  return text_of(bio);
}

std::vector<std::byte> PublicKey::to_der() const {
  unsigned char* data = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &data);
  POSTERN_ASSERT(size > 0);
  const auto view = std::as_bytes(std::span(data, static_cast<std::size_t>(size)));
  std::vector<std::byte> out(view.begin(), view.end());
  OPENSSL_free(data);
  return out;
}

bool PublicKey::verify(Bytes message, Bytes signature) const {
  const Context context(EVP_MD_CTX_new());
  const bool ok = EVP_DigestVerifyInit(context.get(), nullptr, digest_for(type_), nullptr, key_.get()) == 1 &&
                  EVP_DigestVerify(context.get(), as_uchars(signature), signature.size(), as_uchars(message),
                                   message.size()) == 1;
  ERR_clear_error();
  return ok;
}

bool PublicKey::verify_raw_ecdsa(Bytes message, Bytes signature) const {
  if (type_ != KeyType::ecdsa) return false;
  const std::size_t half = static_cast<std::size_t>(EVP_PKEY_get_bits(key_.get()) + 7) / 8;
  if (signature.size() != 2 * half) return false;
  struct FreeSignature {
    void operator()(ECDSA_SIG* sig) const { ECDSA_SIG_free(sig); }
  };
  const std::unique_ptr<ECDSA_SIG, FreeSignature> sig(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(as_uchars(signature), static_cast<int>(half), nullptr);
  BIGNUM* s = BN_bin2bn(as_uchars(signature.subspan(half)), static_cast<int>(half), nullptr);
  POSTERN_ASSERT(sig && r != nullptr && s != nullptr && ECDSA_SIG_set0(sig.get(), r, s) == 1);
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(sig.get(), &der);
  POSTERN_ASSERT(size > 0);
  const bool ok = verify(message, std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
  OPENSSL_free(der);
  return ok;
}

PrivateKey PrivateKey::generate(KeyType type) {
  EVP_PKEY* key = nullptr;
  switch (type) {
    case KeyType::rsa:
      key = EVP_RSA_gen(3072U);
      break;
    case KeyType::ecdsa:
      key = EVP_EC_gen("P-256");
      break;
    case KeyType::ed25519:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
  }
  POSTERN_ASSERT(key != nullptr);
  return PrivateKey(detail::KeyHandle(key));
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return invalid("private key text is too long");
  const Bio bio = read_only(pem);
  detail::KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key) return invalid("cannot decode private key: an unencrypted PEM private key is expected");
  POSTERN_TRY(const KeyType type, type_of(key.get()));
  (void)type;
  return PrivateKey(std::move(key));
}

PrivateKey::PrivateKey(detail::KeyHandle key) : key_(std::move(key)) {
  const auto type = type_of(key_.get());
  POSTERN_ASSERT(type.has_value());
  type_ = *type;
}

std::string PrivateKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  POSTERN_ASSERT(
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return text_of(bio);
}

PublicKey PrivateKey::public_key() const {
  unsigned char* data = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &data);
  POSTERN_ASSERT(size > 0);
  const unsigned char* cursor = data;
  detail::KeyHandle key(d2i_PUBKEY(nullptr, &cursor, size));
  OPENSSL_free(data);
  POSTERN_ASSERT(key != nullptr);
  return PublicKey(std::move(key));
}

std::vector<std::byte> PrivateKey::sign(Bytes message) const {
  const Context context(EVP_MD_CTX_new());
  POSTERN_ASSERT(EVP_DigestSignInit(context.get(), nullptr, digest_for(type_), nullptr, key_.get()) == 1);
  std::size_t size = 0;
  POSTERN_ASSERT(EVP_DigestSign(context.get(), nullptr, &size, as_uchars(message), message.size()) == 1);
  std::vector<std::byte> signature(size);
  POSTERN_ASSERT(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                                as_uchars(message), message.size()) == 1);
  signature.resize(size);
  return signature;
}

}  // namespace postern
