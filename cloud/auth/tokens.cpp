#include "cloud/auth/tokens.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "shared/crypto/jwt.hpp"

namespace postern::cloud {
namespace {

namespace json = boost::json;

/// Go's zero time, which Mender's server puts into `nbf` (device-protocol 1.5).
constexpr std::int64_t kGoZeroTime = -62'135'596'800;
constexpr std::string_view kManagementScope = "mender.*";

std::string text_claim(const json::object& claims, std::string_view name) {
  const json::value* value = claims.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string().c_str()) : std::string();
}

bool flag_claim(const json::object& claims, std::string_view name) {
  const json::value* value = claims.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

Result<TokenClaims> to_claims(const json::object& claims) {
  TokenClaims result{.id = text_claim(claims, "jti"), .subject = text_claim(claims, "sub"), .expires = {}};
  if (result.id.empty() || result.subject.empty()) return unauthorized("invalid jwt");
  if (const json::value* expires = claims.if_contains("exp")) {
    json::error_code error;
    result.expires = expires->to_number<std::int64_t>(error);
    if (error) return unauthorized("invalid jwt");
  }
  return result;
}

json::array addons() {
  json::array all;
  for (const char* name : {"configure", "troubleshoot", "monitor"})
    all.push_back({{"name", name}, {"enabled", true}});
  return all;
}

Result<json::object> verify(const PublicKey& key, const std::string& token, WallTime now) {
  POSTERN_TRY(auto claims, verify_jwt(key, token));
  POSTERN_CHECK(check_jwt_times(claims, now));
  return claims;
}

Status check_expiry(const TokenClaims& claims, WallTime now) {
  if (claims.expires && unix_seconds(now) >= *claims.expires) return unauthorized("token expired");
  return {};
}

}  // namespace

std::optional<TokenClaims> VerifiedTokens::find(const std::string& token) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = young_.find(token); found != young_.end()) return found->second;
  const auto found = old_.find(token);
  if (found == old_.end()) return std::nullopt;
  return young_.insert(old_.extract(found)).position->second;
}

void VerifiedTokens::add(const std::string& token, const TokenClaims& claims) {
  const std::scoped_lock lock(mutex_);
  if (young_.size() >= half_max_) {
    old_ = std::move(young_);
    young_.clear();
  }
  young_.insert_or_assign(token, claims);
}

DeviceTokens::DeviceTokens(PrivateKey key) : key_(std::move(key)), public_key_(key_.public_key()) {}

std::string DeviceTokens::issue(std::string_view auth_set_id, std::string_view device_id,
                                WallTime now) const {
  return sign_jwt(key_, {{"jti", auth_set_id},
                         {"sub", device_id},
                         {"iss", "Mender"},
                         {"exp", unix_seconds(now + kTokenLifetime)},
                         {"iat", unix_seconds(now)},
                         {"nbf", kGoZeroTime},
                         {"mender.device", true},
                         {"mender.plan", "enterprise"},
                         {"mender.trial", false},
                         {"mender.addons", addons()}});
}

Result<TokenClaims> DeviceTokens::check(const std::string& token, WallTime now) {
  if (const auto known = verified_.find(token)) {
    POSTERN_CHECK(check_expiry(*known, now));
    return *known;
  }
  POSTERN_TRY(const auto claims, verify(public_key_, token, now));
  if (!flag_claim(claims, "mender.device")) return unauthorized("not a device token");
  POSTERN_TRY(TokenClaims result, to_claims(claims));
  if (!result.expires) return unauthorized("token without expiry");
  verified_.add(token, result);
  return result;
}

UserTokens::UserTokens(PrivateKey key) : key_(std::move(key)), public_key_(key_.public_key()) {}

std::string UserTokens::issue(std::string_view token_id, std::string_view user_id, WallTime now,
                              std::optional<WallTime> expires) const {
  json::object claims{{"jti", token_id},          {"sub", user_id},           {"iss", "mender.useradm"},
                      {"iat", unix_seconds(now)}, {"nbf", unix_seconds(now)}, {"scp", kManagementScope},
                      {"mender.user", true}};
  if (expires) claims["exp"] = unix_seconds(*expires);
  return sign_jwt(key_, claims, {{"kid", 0}});
}

Result<TokenClaims> UserTokens::check(const std::string& token, WallTime now) {
  if (const auto known = verified_.find(token)) {
    if (!check_expiry(*known, now)) return unauthorized("invalid jwt");
    return *known;
  }
  if (std::ranges::count(token, '.') != 2) return unauthorized("identity: incorrect token format");
  const auto claims = verify(public_key_, token, now);
  if (!claims) return unauthorized("invalid jwt");
  if (text_claim(*claims, "scp") != kManagementScope || !flag_claim(*claims, "mender.user")) {
    return rejected(Reason::forbidden, "unauthorized");
  }
  POSTERN_TRY(TokenClaims result, to_claims(*claims));
  verified_.add(token, result);
  return result;
}

}  // namespace postern::cloud
