// The secret with which links are signed.
#pragma once

#include "gateway/config.hpp"
#include "shared/base/bytes.hpp"
#include "shared/base/random.hpp"

namespace postern::gateway {

/// The configured one, or the one that this gateway once made for itself and keeps with its state. Errors:
/// invalid, corrupt, those of read_file and write_file.
Result<std::vector<std::byte>> load_link_secret(const Config& config, Random& random);

}  // namespace postern::gateway
