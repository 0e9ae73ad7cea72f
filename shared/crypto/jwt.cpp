#include "shared/crypto/jwt.hpp"

#include <cmath>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "shared/base/check.hpp"

namespace postern {
namespace {

namespace json = boost::json;

constexpr std::size_t kDepthMax = 16;

Result<json::object> decode_object(std::string_view part, std::string_view name) {
  const auto bytes = from_base64url(part);
  if (!bytes) return unauthorized(fmt::format("token: {} is not base64url", name));
  json::parse_options options;
  options.max_depth = kDepthMax;
  const std::string_view text = as_text(*bytes);
  json::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error || !value.is_object()) return unauthorized(fmt::format("token: {} is no JSON object", name));
  return std::move(value.get_object());
}

Status check_header(std::string_view part, KeyType type) {
  const auto algorithm = jwt_algorithm(type);
  if (!algorithm) return unauthorized("token: keys of this type make no tokens");
  POSTERN_TRY(const auto header, decode_object(part, "header"));
  const json::value* named = header.if_contains("alg");
  if (named == nullptr || !named->is_string() || named->get_string() != *algorithm) {
    return unauthorized("token: not signed with the algorithm of the key");
  }
  // RFC 7515 4.1.11: an extension that must be understood, and we understand none.
  if (header.contains("crit")) return unauthorized("token: has critical header members");
  return {};
}

/// A claim in seconds; nothing when it is absent.
Result<std::optional<double>> seconds_claim(const json::object& claims, std::string_view name) {
  const json::value* value = claims.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) return unauthorized(fmt::format("token: {} is no number", name));
  return value->to_number<double>();
}

}  // namespace

std::optional<std::string_view> jwt_algorithm(KeyType type) {
  switch (type) {
    case KeyType::ed25519:
      return "EdDSA";
    case KeyType::rsa:
      return "RS256";
    case KeyType::ecdsa:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string sign_jwt(const PrivateKey& key, const json::object& claims, const json::object& header) {
  const auto algorithm = jwt_algorithm(key.type());
  POSTERN_ASSERT(algorithm.has_value());
  json::object full{{"alg", json::string_view(algorithm->data(), algorithm->size())}, {"typ", "JWT"}};
  for (const auto& member : header) full.insert(member);
  std::string token = to_base64url(as_bytes(json::serialize(full)));
  token.push_back('.');
  token.append(to_base64url(as_bytes(json::serialize(claims))));
  const auto signature = key.sign(as_bytes(token));
  token.push_back('.');
  token.append(to_base64url(signature));
  return token;
}

Result<json::object> verify_jwt(const PublicKey& key, std::string_view token) {
  if (token.size() > kJwtBytesMax) return unauthorized("token: too long");
  const auto first = token.find('.');
  const auto last = token.rfind('.');
  if (first == std::string_view::npos || last == first ||
      token.substr(first + 1, last - first - 1).find('.') != std::string_view::npos) {
    return unauthorized("token: not three parts joined by dots");
  }
  POSTERN_CHECK(check_header(token.substr(0, first), key.type()));
  const auto signature = from_base64url(token.substr(last + 1));
  if (!signature) return unauthorized("token: signature is not base64url");
  if (!key.verify(as_bytes(token.substr(0, last)), *signature)) {
    return unauthorized("token: signature does not match");
  }
  return decode_object(token.substr(first + 1, last - first - 1), "payload");
}

Status check_jwt_times(const json::object& claims, WallTime now, Duration leeway) {
  const double now_seconds = std::chrono::duration<double>(now.time_since_epoch()).count();
  const double leeway_seconds = std::chrono::duration<double>(leeway).count();
  POSTERN_TRY(const auto expires, seconds_claim(claims, "exp"));
  if (expires && !(now_seconds - leeway_seconds < *expires)) return unauthorized("token: expired");
  POSTERN_TRY(const auto not_before, seconds_claim(claims, "nbf"));
  if (not_before && !(*not_before <= now_seconds + leeway_seconds))
    return unauthorized("token: not valid yet");
  return {};
}

}  // namespace postern
