// The tokens that the cloud issues: to devices and to users.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "shared/base/clock.hpp"
#include "shared/crypto/keys.hpp"

namespace postern::cloud {

inline constexpr std::chrono::seconds kTokenLifetime{604'800};  // device-protocol 1.5, management-api 1.1

/// What a good token says. Whether it is still on record is another question, asked at every request.
struct TokenClaims {
  std::string id;                       ///< jti: the auth set of a device, the token's own id of a user
  std::string subject;                  ///< device id or user id
  std::optional<std::int64_t> expires;  ///< Unix seconds; nothing: never
};

/// Remembers tokens whose signature was good, because checking one costs far more than looking it up.
/// Bounded: when it is full the older half is forgotten. Thread-safe.
class VerifiedTokens {
 public:
  explicit VerifiedTokens(std::size_t count_max) : half_max_(count_max / 2) {}
  std::optional<TokenClaims> find(const std::string& token);
  void add(const std::string& token, const TokenClaims& claims);

 private:
  std::mutex mutex_;
  std::size_t half_max_;
  std::unordered_map<std::string, TokenClaims> young_;
  std::unordered_map<std::string, TokenClaims> old_;
};

/// Issues and checks device tokens (device-protocol 1.5). Thread-safe.
class DeviceTokens {
 public:
  explicit DeviceTokens(PrivateKey key);
  std::string issue(std::string_view auth_set_id, std::string_view device_id, WallTime now) const;
  /// Errors: unauthorized (malformed, foreign, expired).
  Result<TokenClaims> check(const std::string& token, WallTime now);

 private:
  PrivateKey key_;
  PublicKey public_key_;
  VerifiedTokens verified_{200'000};
};

/// Issues and checks user tokens (management-api 1.2). Thread-safe.
class UserTokens {
 public:
  explicit UserTokens(PrivateKey key);
  std::string issue(std::string_view token_id, std::string_view user_id, WallTime now,
                    std::optional<WallTime> expires) const;
  /// Errors: unauthorized; forbidden (no management scope).
  Result<TokenClaims> check(const std::string& token, WallTime now);

 private:
  PrivateKey key_;
  PublicKey public_key_;
  VerifiedTokens verified_{10'000};
};

}  // namespace postern::cloud
