// Issuing into files: PREFIX.key, PREFIX.crt, and for plan signing PREFIX.pub.
#pragma once

#include "pki/authority.hpp"

namespace postern {

struct IssueOrder {
  LeafRequest leaf;
  KeyType key_type = KeyType::ecdsa;
  /// Path of a certificate signing request: its key is certified, and no key is made.
  std::optional<std::string> request_path;
  std::string prefix;
};

struct IssuedFiles {
  Certificate certificate;
  std::vector<std::string> paths;  ///< what was written
};

/// Makes a key (PKCS#8, mode 0600) unless there is one, and its certificate. Never overwrites; after an error
/// no file is left. Errors: conflict; those of Authority::issue; exhausted; transient.
Result<IssuedFiles> issue_files(Authority& authority, const Profile& profile, const IssueOrder& order);

}  // namespace postern
