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
  return {.id = id, .public_key_pem = pem, .tier = tier, .status = status, .created = now};
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

}  // namespace

Result<Admission> inspect(const ReadTx& tx, const AuthRequest& request) {
  POSTERN_TRY(auto device, tx.devices().find_by_identity(request.identity.hash));
  const AuthSet* set = device ? device->find_key(request.public_key_pem, request.tier) : nullptr;
  if (set == nullptr || set->status == AuthStatus::preauthorized) return Admission{.must_store = true};
  if (set->status != AuthStatus::accepted) return Admission{};
  POSTERN_TRY(const auto live, tx.devices().find_token(set->id));
  return Admission{.is_accepted = true, .must_store = !live, .auth_set_id = set->id, .device_id = device->id};
}

Result<Admission> admit(WriteTx& tx, const AuthRequest& request, const FreshIds& fresh, WallTime now) {
  POSTERN_TRY(auto known, tx.devices().find_by_identity(request.identity.hash));
  Device device = known ? *std::move(known) : new_device(request.identity, fresh.device, now);
  AuthSet* set = device.find_key(request.public_key_pem, request.tier);
  if (set == nullptr) {
    // A gateway or an operator who preauthorizes a key does not know the tier the device will name.
    AuthSet* preauthorized = device.find_key(request.public_key_pem, "");
    if (preauthorized != nullptr && preauthorized->status == AuthStatus::preauthorized) {
      preauthorized->tier = request.tier;
      set = preauthorized;
    } else {
      set = &device.auth_sets.emplace_back(
          new_set(fresh.auth_set, request.public_key_pem, request.tier, AuthStatus::pending, now));
    }
  }
  if (set->status == AuthStatus::preauthorized) POSTERN_CHECK(accept(tx, device, *set));
  const bool is_accepted = set->status == AuthStatus::accepted;
  const std::string set_id = set->id;
  device.updated = now;
  POSTERN_CHECK(tx.change_devices().put(device));
  if (is_accepted) POSTERN_CHECK(tx.change_devices().put_token(set_id, {device.ordinal, device.id}));
  return Admission{
      .is_accepted = is_accepted, .must_store = true, .auth_set_id = set_id, .device_id = device.id};
}

Status set_auth_status(WriteTx& tx, std::string_view device_id, std::string_view set_id, AuthStatus to,
                       WallTime now) {
  POSTERN_TRY(Device device, require_device(tx, device_id));
  AuthSet* set = device.find_set(set_id);
  if (set == nullptr) return no_such_set();
  if (set->status == AuthStatus::preauthorized) return invalid("dev auth: bad request");
  if (set->status == to) return {};
  if (set->status == AuthStatus::accepted) POSTERN_CHECK(tx.change_devices().erase_token(set->id));
  if (to == AuthStatus::accepted) {
    POSTERN_CHECK(accept(tx, device, *set));
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
  }
  device.updated = now;
  POSTERN_CHECK(tx.change_devices().put(device));
  // With a known identity this id belongs to nothing; clients look the device up by identity
  // (management-api 2.3).
  return fresh.device;
}

Status dismiss(WriteTx& tx, std::string_view device_id, std::string_view set_id, WallTime now) {
  POSTERN_TRY(Device device, require_device(tx, device_id));
  if (device.find_set(set_id) == nullptr) return no_such_set();
  const bool was_preauthorized = device.status() == AuthStatus::preauthorized;
  POSTERN_CHECK(tx.change_devices().erase_token(set_id));
  std::erase_if(device.auth_sets, [&](const AuthSet& set) { return set.id == set_id; });
  if (device.auth_sets.empty() && was_preauthorized) return tx.change_devices().erase(device);
  device.updated = now;
  return tx.change_devices().put(device);
}

Status decommission(WriteTx& tx, std::string_view device_id, WallTime now) {
  POSTERN_TRY(const Device device, require_device(tx, device_id));
  POSTERN_CHECK(end_active_deployment(tx, device.ordinal, rollout::DeviceStatus::decommissioned, now));
  POSTERN_CHECK(tx.change_inventory().erase(device.ordinal));
  return tx.change_devices().erase(device);
}

}  // namespace postern::cloud
