// The server's own secrets. Each is made at the first start and kept in a file of mode 0600.
#pragma once

#include "shared/base/random.hpp"
#include "shared/crypto/keys.hpp"

namespace postern::cloud {

struct Secrets {
  PrivateKey device_tokens;  ///< signs the tokens of devices
  PrivateKey user_tokens;    ///< signs the tokens of users; another one, so that neither passes as the other
  std::vector<std::byte> link_secret;  ///< authenticates download links
};

/// Reads the secrets in `directory`, and makes those that are missing. One that cannot be read is an error
/// and never replaced: that would end every session. Blocking.
Result<Secrets> load_secrets(const std::string& directory, Random& random);

/// The public keys in these PEM files; null when there are none. Errors: not_found, invalid (no key, or one
/// that signs no artifact), each with the file's name.
Result<std::shared_ptr<const std::vector<PublicKey>>> load_verify_keys(const std::vector<std::string>& paths);

}  // namespace postern::cloud
