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
};

/// Looks what an auth request would lead to, without changing anything. Most requests change nothing.
Result<Admission> inspect(const ReadTx& tx, const AuthRequest& request);

/// Takes an auth request: makes the device and its pending set when they are new, accepts a preauthorized
/// set, and makes tokens of an accepted set live.
Result<Admission> admit(WriteTx& tx, const AuthRequest& request, const FreshIds& fresh, WallTime now);

/// Accepts, rejects or puts back to pending. Accepting rejects the set that was accepted before; leaving
/// accepted kills the device's token at once. Errors: not_found, invalid (transition).
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

/// Removes a device and all that belongs to it; its open deployment becomes `decommissioned`. Errors:
/// not_found.
Status decommission(WriteTx& tx, std::string_view device_id, WallTime now);

}  // namespace postern::cloud
