// The keys that artifacts have to be signed with.
#pragma once

#include <vector>

#include "gateway/config.hpp"
#include "shared/crypto/keys.hpp"

namespace postern::gateway {

/// Reads the configured files. Blocking. Errors: invalid, those of read_file, naming key and file.
Result<std::vector<PublicKey>> load_verify_keys(const Config& config);

}  // namespace postern::gateway
