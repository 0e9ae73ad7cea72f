// Devices and their auth sets: what is stored, and where.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/crypto/digest.hpp"

namespace postern::cloud {

/// Longest id that anything here is found by.
inline constexpr std::size_t kIdCharactersMax = 256;

enum class AuthStatus : unsigned char { pending, accepted, rejected, preauthorized, noauth };

std::string_view to_string(AuthStatus status);
std::optional<AuthStatus> parse_auth_status(std::string_view word);

/// Where a device talks from.
struct Place {
  std::uint32_t gateway = 0;  ///< ordinal of the gateway that it talks through; 0: it talks directly
  std::string gateway_name;
  std::string site;

  bool is_direct() const { return gateway == 0; }
  bool operator==(const Place&) const = default;
};

/// The site, or "direct"; for logs.
std::string to_string(const Place& place);

/// Where a device was seen last.
struct Presence {
  Place place;
  WallTime since;  ///< first seen at this site
  /// The device had a good token. An auth request alone proves only that somebody knows the identity.
  bool is_proved = false;
};

/// One public key with which a device may ask for a token; its id is the `jti` of the token
/// (device-protocol 1.5).
struct AuthSet {
  std::string id;
  std::string public_key_pem;
  std::string tier;
  AuthStatus status = AuthStatus::pending;
  WallTime created;
  std::optional<Place> voucher;  ///< the gateway that preauthorized it; nothing: no gateway did
};

/// A gateway asked for a key of a device that was accepted elsewhere (decision 13). An operator decides.
struct SiteConflict {
  Place place;           ///< the gateway
  std::string auth_set;  ///< the key; it stays pending
  WallTime at;
};

struct Device {
  std::uint32_t ordinal = 0;  ///< the device's number in keys; 0 until it is stored
  std::string id;
  std::string identity;  ///< canonical JSON (device-protocol 1.4)
  Digest identity_hash{};
  std::vector<AuthSet> auth_sets;
  WallTime created;
  WallTime updated;
  bool was_accepted = false;         ///< now or at any time
  std::string group;                 ///< the static group; empty: none
  std::optional<Presence> presence;  ///< nothing: never seen
  std::optional<WallTime> first_seen;
  struct Departure {
    std::string site;  ///< empty: it talked directly
    WallTime at;
  };
  std::optional<Departure> left;  ///< the site before this one
  std::optional<SiteConflict> conflict;

  /// Notes that it is seen; returns where it was before when it has moved to another site.
  std::optional<Place> be_at(const Place& place, bool is_proved, WallTime now);
  /// The strongest state among the auth sets (device-protocol 1.7).
  AuthStatus status() const;
  AuthSet* find_set(std::string_view set_id);
  AuthSet* find_key(std::string_view public_key_pem, std::string_view tier);
};

/// What a poll needs of a device, apart from the rest so that it stays small (decision 20).
struct DeviceProgress {
  std::uint32_t active_deployment = 0;  ///< ordinal of the deployment it is busy with; 0: none
  std::uint32_t last_finished = 0;      ///< ordinal of the youngest deployment it has finished; 0: none
};

/// The device that a token belongs to.
struct TokenOwner {
  std::uint32_t ordinal = 0;
  std::string device_id;
  std::optional<Place> place;  ///< the device's own; here, because every request asks
};

struct DeviceFilter {
  std::set<AuthStatus> statuses;         ///< empty: all
  std::set<std::string> ids;             ///< empty: all
  std::optional<std::uint32_t> gateway;  ///< only those seen last through this one
};

/// Devices by the part of a unit of work that sees them. Lists are ordered by the status's word, then by id
/// (management-api 2.2).
class DeviceReader {
 public:
  virtual ~DeviceReader() = default;
  virtual Result<std::optional<Device>> find(std::string_view id) const = 0;
  virtual Result<std::optional<Device>> find_by_ordinal(std::uint32_t ordinal) const = 0;
  virtual Result<std::optional<Device>> find_by_identity(const Digest& identity_hash) const = 0;
  virtual Result<std::vector<Device>> list(const DeviceFilter& filter, std::size_t skip,
                                           std::size_t count) const = 0;
  virtual Result<std::size_t> count(std::optional<AuthStatus> status) const = 0;
  /// How many devices were seen last through a gateway.
  virtual Result<std::size_t> count_at(std::uint32_t gateway) const = 0;
  /// Ordinals of all accepted devices.
  virtual Result<std::vector<std::uint32_t>> accepted() const = 0;
  /// The id that an ordinal was given to, whether or not such a device exists (see
  /// DeviceWriter::ordinal_for).
  virtual Result<std::optional<std::string>> id_of(std::uint32_t ordinal) const = 0;
  /// The ordinal of the device that an auth set is of; nothing when there is no such set.
  virtual Result<std::optional<std::uint32_t>> owner_of_set(std::string_view set_id) const = 0;
  /// One above the last ordinal that was given out.
  virtual Result<std::uint32_t> ordinals_end() const = 0;
  /// The ordinal that was given to an id; nothing when none was.
  virtual Result<std::optional<std::uint32_t>> ordinal_of(std::string_view id) const = 0;
  virtual Result<DeviceProgress> progress(std::uint32_t ordinal) const = 0;
  /// The live token record of an auth set; nothing when its tokens are dead.
  virtual Result<std::optional<TokenOwner>> find_token(std::string_view set_id) const = 0;
};

class DeviceWriter {
 public:
  virtual ~DeviceWriter() = default;
  /// Stores a new device or a changed one; a new one is given its ordinal.
  virtual Status put(Device& device) = 0;
  /// Removes the device, its progress and its tokens. The ordinal stays taken.
  virtual Status erase(const Device& device) = 0;
  /// The ordinal of an id. Deployments may target ids that no device has (management-api 4.7), so one is made
  /// up when there is none.
  virtual Result<std::uint32_t> ordinal_for(std::string_view id) = 0;
  virtual Status put_progress(std::uint32_t ordinal, const DeviceProgress& progress) = 0;
  virtual Status put_token(std::string_view set_id, const TokenOwner& owner) = 0;
  virtual Status erase_token(std::string_view set_id) = 0;
};

}  // namespace postern::cloud
