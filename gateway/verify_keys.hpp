// The keys with which artifacts have to be signed.
#pragma once

#include "gateway/config.hpp"
#include "shared/crypto/keys.hpp"

namespace postern::gateway {

/// Reads the files of Postern.Artifacts.VerifyKeys. Blocking. Errors: invalid, not_found, naming the key.
Result<std::vector<PublicKey>> load_verify_keys(const Config& config);

}  // namespace postern::gateway
