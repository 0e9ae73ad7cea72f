// The signature over a manifest (artifact-format 5).
#pragma once

#include <span>

#include "shared/crypto/keys.hpp"

namespace postern {

/// Checks the content of `manifest.sig` over the raw bytes of `manifest`: base64 with white space anywhere,
/// of RSA PKCS#1 v1.5, or of ECDSA as r||s of 64 bytes or as DER, each over SHA-256. The first of `keys` that
/// fits is enough; Ed25519 keys fit nothing. Errors: invalid.
Status verify_manifest(Bytes manifest, std::string_view signature_text, std::span<const PublicKey> keys);

}  // namespace postern
