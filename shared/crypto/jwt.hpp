// JSON Web Tokens as compact JWS: EdDSA with Ed25519 keys, RS256 with RSA keys, nothing else.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "shared/base/clock.hpp"
#include "shared/crypto/keys.hpp"

namespace postern {

/// Longest token that is looked at.
inline constexpr std::size_t kJwtBytesMax = 8 << 10;

/// The `alg` that goes with a key: "EdDSA" or "RS256". Nothing for ECDSA keys, which make no tokens.
std::optional<std::string_view> jwt_algorithm(KeyType type);

/// Signs `claims`. The header is {"alg":...,"typ":"JWT"} followed by `header`, such as {"kid":0}
/// (management-api 1.2). `key` has a jwt_algorithm. Blocking for RSA: about a millisecond.
std::string sign_jwt(const PrivateKey& key, const boost::json::object& claims,
                     const boost::json::object& header = {});

/// Checks shape and signature and returns the claims. The algorithm follows from the key; a token that names
/// another is refused. Times are not looked at: see check_jwt_times. Errors: unauthorized.
Result<boost::json::object> verify_jwt(const PublicKey& key, std::string_view token);

/// Checks `exp` and `nbf`, each in whole seconds since 1970 and each optional; a `nbf` far before 1970 is
/// fine (device-protocol 1.5). `leeway` is granted on both ends. Errors: unauthorized.
Status check_jwt_times(const boost::json::object& claims, WallTime now, Duration leeway = Duration(0));

}  // namespace postern
