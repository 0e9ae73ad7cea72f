// Who may have a token: auth requests, and what operators decide about them (device-protocol 1.7,
// management-api 2).
//
// Every function works inside a unit of work and decides without I/O of its own.
#pragma once

#include "cloud/store/store.hpp"
#include "shared/device_api/plane.hpp"

namespace postern::cloud {

/// Ids for what an auth request may create; made outside, because a unit of work may run twice.
struct FreshIds {
  std::string device;
  std::string auth_set;
};

/// What became of an auth request.
struct Admission {
  bool is_accepted = false;
  bool must_store = false;  ///< the request changes what is stored
  std::string auth_set_id;  ///< when accepted
  std::string device_id;    ///< when accepted
  std::optional<Place> moved_from;
};

/// Looks what an auth request that comes from `place` would lead to, without changing anything. Most requests
/// change nothing.
Result<Admission> inspect(const ReadTx& tx, const AuthRequest& request, const Place& place);

/// Takes an auth request: makes the device and its pending set when they are new, accepts a preauthorized
/// set, and makes tokens of an accepted set live. A set that a gateway preauthorized is accepted at that
/// gateway's site only, and only while may_vouch() allows it; else it becomes pending.
Result<Admission> admit(WriteTx& tx, const AuthRequest& request, const Place& place, const FreshIds& fresh,
                        WallTime now);

/// Notes where a device is that came with a good token of `set_id`; returns where it was before when it has
/// moved to another site. Errors: unauthorized, when the token is dead.
Result<std::optional<Place>> arrive(WriteTx& tx, std::string_view set_id, const Place& place, WallTime now);

/// Whether a gateway of `site` may say which new key belongs to this device: when it was seen there last, and
/// proved who it is, or when nobody has ever accepted it (decision 13).
bool may_vouch(const Device& device, std::string_view site);

/// Accepts, rejects or puts back to pending. Accepting rejects the set that was accepted before; leaving
/// accepted kills the device's token at once. A conflict about the set is settled by that. Errors: not_found,
/// invalid (transition).
Status set_auth_status(WriteTx& tx, std::string_view device_id, std::string_view set_id, AuthStatus to,
                       WallTime now);

struct Preauthorization {
  Identity identity;
  std::string public_key_pem;
  bool force = false;
};
/// Returns the id for the Location of the answer. Errors: conflict when the identity is known and `force` is
/// not set.
Result<std::string> preauthorize(WriteTx& tx, const Preauthorization& request, const FreshIds& fresh,
                                 WallTime now);

/// Removes one auth set ("dismiss"). Errors: not_found.
Status dismiss(WriteTx& tx, std::string_view device_id, std::string_view set_id, WallTime now);

/// A gateway that preauthorizes a key (decision 13).
enum class Vouching {
  added,     ///< the key is preauthorized now
  known,     ///< the key is accepted or preauthorized already
  rejected,  ///< the key was rejected, by an operator or because another one took its place
  conflict,  ///< the identity is accepted elsewhere; the key is pending, and the device shows the conflict
};
std::string_view to_string(Vouching vouching);

struct VouchingOutcome {
  Vouching vouching = Vouching::known;
  bool must_store = false;
  std::string device_id;  ///< empty while there is no such device
};
/// Looks what a gateway's preauthorization would lead to, without changing anything.
Result<VouchingOutcome> inspect_vouching(const ReadTx& tx, const Preauthorization& request,
                                         const Place& gateway);
/// Takes it. `force` is not looked at.
Result<VouchingOutcome> vouch(WriteTx& tx, const Preauthorization& request, const Place& gateway,
                              const FreshIds& fresh, WallTime now);

/// Removes a device and all that belongs to it; its open deployment becomes `decommissioned`. Errors:
/// not_found.
Status decommission(WriteTx& tx, std::string_view device_id, WallTime now);

}  // namespace postern::cloud
