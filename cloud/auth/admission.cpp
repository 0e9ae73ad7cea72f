#include "cloud/auth/admission.hpp"

#include "cloud/deployments/progress.hpp"

namespace postern::cloud {
namespace {

Result<Device> require_device(const ReadTx& tx, std::string_view device_id) {
  POSTERN_TRY(auto device, tx.devices().find(device_id));
  if (!device) return not_found("device not found");
  return *std::move(device);
}

Error no_such_set() {
  return not_found("authorization set not found");
}

/// Makes `set` the accepted one; there is at most one.
Status accept(WriteTx& tx, Device& device, AuthSet& set) {
  device.was_accepted = true;
  for (AuthSet& other : device.auth_sets) {
    if (&other == &set || other.status != AuthStatus::accepted) continue;
    other.status = AuthStatus::rejected;
    POSTERN_CHECK(tx.change_devices().erase_token(other.id));
  }
  set.status = AuthStatus::accepted;
  return {};
}

AuthSet new_set(const std::string& id, const std::string& pem, const std::string& tier, AuthStatus status,
                WallTime now) {
  return {.id = id, .public_key_pem = pem, .tier = tier, .status = status, .created = now, .voucher = {}};
}

Device new_device(const Identity& identity, const std::string& id, WallTime now) {
  Device device;
  device.id = id;
  device.identity = identity.canonical;
  device.identity_hash = identity.hash;
  device.created = now;
  device.updated = now;
  return device;
}

/// The set of an auth request; a new one when the key is new.
AuthSet& set_of(Device& device, const AuthRequest& request, const std::string& fresh_id, WallTime now) {
  if (AuthSet* set = device.find_key(request.public_key_pem, request.tier)) return *set;
  // Whoever preauthorizes a key does not know the tier that the device will name.
  if (AuthSet* set = device.find_key(request.public_key_pem, "")) {
    set->tier = request.tier;
    return *set;
  }
  return device.auth_sets.emplace_back(
      new_set(fresh_id, request.public_key_pem, request.tier, AuthStatus::pending, now));
}

/// What an operator preauthorized is accepted anywhere, what a gateway did at its site only.
Status redeem(WriteTx& tx, Device& device, AuthSet& set, const Place& place, WallTime now) {
  if (!set.voucher) return accept(tx, device, set);
  const bool is_at_home = may_vouch(device, set.voucher->site);
  if (is_at_home && !place.is_direct() && place.site == set.voucher->site) return accept(tx, device, set);
  set.status = AuthStatus::pending;
  if (!is_at_home) device.conflict = SiteConflict{.place = *set.voucher, .auth_set = set.id, .at = now};
  return {};
}

void settle_conflict(Device& device, std::string_view set_id) {
  if (device.conflict && device.conflict->auth_set == set_id) device.conflict.reset();
}

bool is_same_conflict(const Device& device, const AuthSet& set, const Place& gateway) {
  return set.status == AuthStatus::pending && device.conflict && device.conflict->auth_set == set.id &&
         device.conflict->place == gateway;
}

}  // namespace

bool may_vouch(const Device& device, std::string_view site) {
  if (!device.was_accepted) return true;
  const auto& presence = device.presence;
  return presence && presence->is_proved && !presence->place.is_direct() && presence->place.site == site;
}

Result<Admission> inspect(const ReadTx& tx, const AuthRequest& request, const Place& place) {
  POSTERN_TRY(auto device, tx.devices().find_by_identity(request.identity.hash));
  const AuthSet* set = device ? device->find_key(request.public_key_pem, request.tier) : nullptr;
  if (set == nullptr || set->status == AuthStatus::preauthorized) return Admission{.must_store = true};
  if (set->status != AuthStatus::accepted) return Admission{.must_store = !device->presence};
  POSTERN_TRY(const auto live, tx.devices().find_token(set->id));
  return Admission{.is_accepted = true,
                   .must_store = !live || live->place != place,
                   .auth_set_id = set->id,
                   .device_id = device->id,
                   .moved_from = {}};
}

Result<Admission> admit(WriteTx& tx, const AuthRequest& request, const Place& place, const FreshIds& fresh,
                        WallTime now) {
  POSTERN_TRY(auto known, tx.devices().find_by_identity(request.identity.hash));
  Device device = known ? *std::move(known) : new_device(request.identity, fresh.device, now);
  AuthSet& set = set_of(device, request, fresh.auth_set, now);
  if (set.status == AuthStatus::preauthorized) POSTERN_CHECK(redeem(tx, device, set, place, now));
  Admission admission{.is_accepted = set.status == AuthStatus::accepted,
                      .must_store = true,
                      .auth_set_id = set.id,
                      .device_id = device.id,
                      .moved_from = {}};
  // Somebody with another key says nothing about where the device is.
  if (admission.is_accepted || !device.presence) {
    admission.moved_from = device.be_at(place, admission.is_accepted, now);
  }
  device.updated = now;
  POSTERN_CHECK(tx.change_devices().put(device));
  if (admission.is_accepted) {
    POSTERN_CHECK(tx.change_devices().put_token(
        admission.auth_set_id, {.ordinal = device.ordinal, .device_id = device.id, .place = place}));
  }
  return admission;
}

Result<std::optional<Place>> arrive(WriteTx& tx, std::string_view set_id, const Place& place, WallTime now) {
  POSTERN_TRY(auto owner, tx.devices().find_token(set_id));
  if (!owner) return unauthorized("token is not on record");
  POSTERN_TRY(auto device, tx.devices().find_by_ordinal(owner->ordinal));
  if (!device) return unauthorized("device was decommissioned");
  const auto moved_from = device->be_at(place, true, now);
  owner->place = place;
  POSTERN_CHECK(tx.change_devices().put(*device));
  POSTERN_CHECK(tx.change_devices().put_token(set_id, *owner));
  return moved_from;
}

Status set_auth_status(WriteTx& tx, std::string_view device_id, std::string_view set_id, AuthStatus to,
                       WallTime now) {
  POSTERN_TRY(Device device, require_device(tx, device_id));
  AuthSet* set = device.find_set(set_id);
  if (set == nullptr) return no_such_set();
  if (set->status == AuthStatus::preauthorized) return invalid("dev auth: bad request");
  if (set->status == to) return {};
  if (set->status == AuthStatus::accepted) POSTERN_CHECK(tx.change_devices().erase_token(set->id));
  settle_conflict(device, set->id);
  if (to == AuthStatus::accepted) {
    POSTERN_CHECK(accept(tx, device, *set));
    // Whoever holds the key has yet to show where it is.
    if (device.presence) device.presence->is_proved = false;
  } else {
    set->status = to;
  }
  device.updated = now;
  return tx.change_devices().put(device);
}

Result<std::string> preauthorize(WriteTx& tx, const Preauthorization& request, const FreshIds& fresh,
                                 WallTime now) {
  POSTERN_TRY(auto known, tx.devices().find_by_identity(request.identity.hash));
  if (known && !request.force) return conflict("device already exists");
  Device device = known ? *std::move(known) : new_device(request.identity, fresh.device, now);
  const auto same_key = std::ranges::find(device.auth_sets, request.public_key_pem, &AuthSet::public_key_pem);
  if (same_key == device.auth_sets.end()) {
    device.auth_sets.push_back(
        new_set(fresh.auth_set, request.public_key_pem, "", AuthStatus::preauthorized, now));
  } else {
    POSTERN_CHECK(tx.change_devices().erase_token(same_key->id));
    same_key->status = AuthStatus::preauthorized;
    same_key->voucher.reset();
    settle_conflict(device, same_key->id);
  }
  device.updated = now;
  POSTERN_CHECK(tx.change_devices().put(device));
  // With a known identity this id belongs to nothing; clients look the device up by identity
  // (management-api 2.3).
  return fresh.device;
}

std::string_view to_string(Vouching vouching) {
  switch (vouching) {
    case Vouching::added:
      return "added";
    case Vouching::known:
      return "known";
    case Vouching::rejected:
      return "rejected";
    case Vouching::conflict:
      return "conflict";
  }
  return "unknown";
}

Result<VouchingOutcome> inspect_vouching(const ReadTx& tx, const Preauthorization& request,
                                         const Place& gateway) {
  POSTERN_TRY(auto device, tx.devices().find_by_identity(request.identity.hash));
  if (!device) return VouchingOutcome{.vouching = Vouching::added, .must_store = true, .device_id = {}};
  const AuthSet* pending = nullptr;
  bool is_rejected = false;
  for (const AuthSet& set : device->auth_sets) {
    if (set.public_key_pem != request.public_key_pem) continue;
    if (set.status == AuthStatus::accepted || set.status == AuthStatus::preauthorized) {
      return VouchingOutcome{.vouching = Vouching::known, .must_store = false, .device_id = device->id};
    }
    if (set.status == AuthStatus::rejected) is_rejected = true;
    if (set.status == AuthStatus::pending && pending == nullptr) pending = &set;
  }
  if (is_rejected) {
    return VouchingOutcome{.vouching = Vouching::rejected, .must_store = false, .device_id = device->id};
  }
  if (may_vouch(*device, gateway.site)) {
    return VouchingOutcome{.vouching = Vouching::added, .must_store = true, .device_id = device->id};
  }
  const bool is_told = pending != nullptr && is_same_conflict(*device, *pending, gateway);
  return VouchingOutcome{.vouching = Vouching::conflict, .must_store = !is_told, .device_id = device->id};
}

Result<VouchingOutcome> vouch(WriteTx& tx, const Preauthorization& request, const Place& gateway,
                              const FreshIds& fresh, WallTime now) {
  POSTERN_TRY(VouchingOutcome outcome, inspect_vouching(tx, request, gateway));
  if (!outcome.must_store) return outcome;
  POSTERN_TRY(auto known, tx.devices().find_by_identity(request.identity.hash));
  Device device = known ? *std::move(known) : new_device(request.identity, fresh.device, now);
  auto set = std::ranges::find(device.auth_sets, request.public_key_pem, &AuthSet::public_key_pem);
  if (set == device.auth_sets.end()) {
    set = device.auth_sets.insert(
        set, new_set(fresh.auth_set, request.public_key_pem, "", AuthStatus::pending, now));
  }
  if (outcome.vouching == Vouching::added) {
    set->status = AuthStatus::preauthorized;
    set->voucher = gateway;
    settle_conflict(device, set->id);
  } else {
    device.conflict = SiteConflict{.place = gateway, .auth_set = set->id, .at = now};
  }
  device.updated = now;
  POSTERN_CHECK(tx.change_devices().put(device));
  outcome.device_id = device.id;
  return outcome;
}

Status dismiss(WriteTx& tx, std::string_view device_id, std::string_view set_id, WallTime now) {
  POSTERN_TRY(Device device, require_device(tx, device_id));
  if (device.find_set(set_id) == nullptr) return no_such_set();
  const bool was_preauthorized = device.status() == AuthStatus::preauthorized;
  POSTERN_CHECK(tx.change_devices().erase_token(set_id));
  std::erase_if(device.auth_sets, [&](const AuthSet& set) { return set.id == set_id; });
  settle_conflict(device, set_id);
  if (device.auth_sets.empty() && was_preauthorized) return tx.change_devices().erase(device);
  device.updated = now;
  return tx.change_devices().put(device);
}

Status decommission(WriteTx& tx, std::string_view device_id, WallTime now) {
  POSTERN_TRY(const Device device, require_device(tx, device_id));
  POSTERN_CHECK(end_active_deployment(tx, device.ordinal, rollout::DeviceStatus::decommissioned, now));
  POSTERN_CHECK(tx.change_inventory().erase(device.ordinal));
  POSTERN_CHECK(tx.change_tags().erase(device.ordinal));
  POSTERN_CHECK(tx.change_sightings().erase(device.ordinal));
  return tx.change_devices().erase(device);
}

}  // namespace postern::cloud
