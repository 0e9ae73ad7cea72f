// The keys that artifacts have to be signed with.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "gateway/trust/files.hpp"
#include "shared/crypto/keys.hpp"

namespace postern::gateway {

/// Empty: signatures are not checked. Never null.
using VerifyKeys = std::shared_ptr<const std::vector<PublicKey>>;

/// Of one file.
inline constexpr std::size_t kVerifyKeyBytesMax = 64 << 10;

/// All keys in these files; each holds one at least. Errors: invalid, those of reading, naming the file.
Result<VerifyKeys> parse_verify_keys(std::span<const FileContent> files);

}  // namespace postern::gateway
