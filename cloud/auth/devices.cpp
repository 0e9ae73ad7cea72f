#include "cloud/auth/devices.hpp"

namespace postern::cloud {

std::string_view to_string(AuthStatus status) {
  switch (status) {
    case AuthStatus::pending:
      return "pending";
    case AuthStatus::accepted:
      return "accepted";
    case AuthStatus::rejected:
      return "rejected";
    case AuthStatus::preauthorized:
      return "preauthorized";
    case AuthStatus::noauth:
      return "noauth";
  }
  return "unknown";
}

std::optional<AuthStatus> parse_auth_status(std::string_view word) {
  for (const auto status : {AuthStatus::pending, AuthStatus::accepted, AuthStatus::rejected,
                            AuthStatus::preauthorized, AuthStatus::noauth}) {
    if (to_string(status) == word) return status;
  }
  return std::nullopt;
}

std::string to_string(const Place& place) {
  return place.is_direct() ? "direct" : place.site;
}

std::optional<Place> Device::be_at(const Place& place, bool is_proved, WallTime now) {
  if (!presence) {
    presence = Presence{.place = place, .since = now, .is_proved = is_proved};
    first_seen = now;
    return std::nullopt;
  }
  Place before = std::exchange(presence->place, place);
  if (before.site == place.site) {
    presence->is_proved = presence->is_proved || is_proved;
    return std::nullopt;
  }
  presence->since = now;
  presence->is_proved = is_proved;
  left = Departure{.site = before.site, .at = now};
  return before;
}

AuthStatus Device::status() const {
  for (const auto status :
       {AuthStatus::accepted, AuthStatus::preauthorized, AuthStatus::pending, AuthStatus::rejected}) {
    if (std::ranges::find(auth_sets, status, &AuthSet::status) != auth_sets.end()) return status;
  }
  return AuthStatus::noauth;
}

AuthSet* Device::find_set(std::string_view set_id) {
  const auto found = std::ranges::find(auth_sets, set_id, &AuthSet::id);
  return found == auth_sets.end() ? nullptr : &*found;
}

AuthSet* Device::find_key(std::string_view public_key_pem, std::string_view tier) {
  const auto found = std::ranges::find_if(auth_sets, [&](const AuthSet& set) {
    return set.public_key_pem == public_key_pem && set.tier == tier;
  });
  return found == auth_sets.end() ? nullptr : &*found;
}

}  // namespace postern::cloud
