// Asymmetric keys: RSA, ECDSA and Ed25519, in the forms that the device protocol and the artifact format use.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shared/base/bytes.hpp"

struct evp_pkey_st;

namespace postern {

enum class KeyType { rsa, ecdsa, ed25519 };

std::string_view to_string(KeyType type);

/// The last error in OpenSSL's queue of this thread as text; empties the queue.
std::string openssl_error();

namespace detail {
struct FreeKey {
  void operator()(evp_pkey_st* key) const;
};
using KeyHandle = std::unique_ptr<evp_pkey_st, FreeKey>;
}  // namespace detail

/// A public key. Any RSA size and any EC curve that OpenSSL knows is taken: real devices have RSA 1024 and
/// P-224 (management-api 2.1).
class PublicKey {
 public:
  /// Reads the first PEM block, which has to be `PUBLIC KEY` (SubjectPublicKeyInfo). Errors: invalid.
  static Result<PublicKey> from_pem(std::string_view pem);
  /// Reads all PEM blocks; there has to be one, and all have to be `PUBLIC KEY`. Errors: invalid.
  static Result<std::vector<PublicKey>> list_from_pem(std::string_view pem);
  /// Whether a key of OpenSSL's is of one of the types.
  static bool takes(const evp_pkey_st& key);
  /// takes(*key).
  explicit PublicKey(detail::KeyHandle key);

  KeyType type() const { return type_; }
  /// SubjectPublicKeyInfo as PEM with 64-column lines and a final newline (device-protocol 1.4).
  std::string to_pem() const;
  /// SubjectPublicKeyInfo as DER. Equal keys have equal DER.
  std::vector<std::byte> to_der() const;

  /// Checks a signature as the device protocol defines it (1.2): RSA PKCS#1 v1.5 over SHA-256, ECDSA over
  /// SHA-256 as ASN.1 DER, Ed25519 over the message itself.
  bool verify(Bytes message, Bytes signature) const;
  /// ECDSA with the signature as r and s, each left-padded to the size of the curve's order. False for other
  /// keys.
  bool verify_raw_ecdsa(Bytes message, Bytes signature) const;

  evp_pkey_st* handle() const { return key_.get(); }

 private:
  detail::KeyHandle key_;
  KeyType type_;
};

/// A private key.
class PrivateKey {
 public:
  /// RSA has 3072 bits, ECDSA uses P-256.
  static PrivateKey generate(KeyType type);
  /// Reads an unencrypted PEM private key: PKCS#8, PKCS#1 or SEC1. Errors: invalid.
  static Result<PrivateKey> from_pem(std::string_view pem);
  explicit PrivateKey(detail::KeyHandle key);

  KeyType type() const { return type_; }
  /// Unencrypted PKCS#8 PEM.
  std::string to_pem() const;
  PublicKey public_key() const;
  /// The counterpart of PublicKey::verify.
  std::vector<std::byte> sign(Bytes message) const;

  evp_pkey_st* handle() const { return key_.get(); }

 private:
  detail::KeyHandle key_;
  KeyType type_;
};

}  // namespace postern
