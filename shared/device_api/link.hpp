// Signed links: a path that whoever holds it may fetch until a time, without a token (device-protocol 3.2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/base/bytes.hpp"
#include "shared/base/clock.hpp"

namespace postern {

/// Longest request target that is looked at.
inline constexpr std::size_t kLinkBytesMax = 8 << 10;

enum class LinkVerdict {
  valid,
  expired,         ///< signature right, time over. Governs a first GET only; ranged GETs go on being served
  bad_signature,   ///<                              -> 403 signature invalid
  bad_parameters,  ///< missing, doubled or malformed -> 400 invalid request parameters
};

struct LinkCheck {
  LinkVerdict verdict = LinkVerdict::bad_parameters;
  /// The rest is set only with a good signature: valid and expired.
  std::string path;  ///< percent-decoded
  std::string tenant_id;
  WallTime expires;
};

/// Whether a GET of this link may be answered: its life governs a first GET only (decision 3); whether the
/// deployment of an expired one is still open is for the caller to know. Errors: invalid, forbidden, with the
/// texts of device-protocol 3.2.
Status admit_link(const LinkCheck& link, bool is_ranged);

/// Makes and checks signed links with one secret. Immutable, so usable from any thread.
class LinkSigner {
 public:
  /// `secret` is not empty.
  explicit LinkSigner(std::vector<std::byte> secret);

  /// The target of a signed GET: escaped path and query, without scheme and host. `path` is not escaped and
  /// starts with a slash; a slash inside one of its parts stays a separator. There is no ':' in the result,
  /// which one client cannot digest. `expires` counts in whole seconds, rounded down.
  std::string sign(std::string_view path, WallTime expires, std::string_view tenant_id = {}) const;

  /// Checks a request's target (origin form, as received). HEAD counts as GET. The signature is compared in
  /// constant time.
  LinkCheck verify(std::string_view method, std::string_view target, WallTime now) const;

 private:
  std::string signature(std::string_view method, std::string_view path, std::string_view expire,
                        std::string_view tenant_id) const;

  std::vector<std::byte> secret_;
};

}  // namespace postern
