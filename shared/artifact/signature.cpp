#include "shared/artifact/signature.hpp"

namespace postern {
namespace {

bool is_signed_by(const PublicKey& key, Bytes manifest, Bytes signature) {
  constexpr std::size_t kRawP256Bytes = 64;
  switch (key.type()) {
    case KeyType::rsa:
      return key.verify(manifest, signature);
    case KeyType::ecdsa:
      return key.verify(manifest, signature) ||
             (signature.size() == kRawP256Bytes && key.verify_raw_ecdsa(manifest, signature));
    case KeyType::ed25519:
      return false;
  }
  return false;
}

}  // namespace

Status verify_manifest(Bytes manifest, std::string_view signature_text, std::span<const PublicKey> keys) {
  std::string digits;
  digits.reserve(signature_text.size());
  for (const char c : signature_text) {
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') digits.push_back(c);
  }
  auto signature = from_base64(digits);
  if (!signature) return std::move(signature).error().within("manifest.sig");
  if (signature->empty()) return invalid("manifest.sig: is empty");
  for (const PublicKey& key : keys) {
    if (is_signed_by(key, manifest, *signature)) return {};
  }
  return invalid("manifest.sig: the signature is not of any configured key");
}

}  // namespace postern
