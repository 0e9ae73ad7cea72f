#include "cloud/store/convert.hpp"
#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

/// In the order of their words, which is the order of lists (management-api 2.2).
constexpr std::array kByWord{AuthStatus::accepted, AuthStatus::noauth, AuthStatus::pending,
                             AuthStatus::preauthorized, AuthStatus::rejected};

KeyBuilder status_key(AuthStatus status) {
  const auto rank = std::ranges::find(kByWord, status) - kByWord.begin();
  return tenant_key().u8(static_cast<std::uint8_t>(rank));
}

/// 0 for a device that was never seen, or talks directly.
std::uint32_t gateway_of(const Device& device) {
  return device.presence ? device.presence->place.gateway : 0;
}

Error broken_index(std::string_view what) {
  return corrupt(fmt::format("store: {} points at a record that is not there", what));
}

}  // namespace

Result<std::optional<std::uint32_t>> KvTxn::number(Table table, Bytes key) const {
  POSTERN_TRY(const auto value, read().get(table, key));
  if (!value) return std::nullopt;
  KeyReader reader(*value);
  POSTERN_TRY(const std::uint32_t number, reader.u32());
  return number;
}

Status KvTxn::put_number(Table table, Bytes key, std::uint32_t number) {
  return write().put(table, key, KeyBuilder().u32(number));
}

Result<std::uint32_t> KvTxn::next_number(std::string_view counter) {
  const KeyBuilder key = tenant_key().text(counter);
  POSTERN_TRY(const auto last, number(kCounters, key));
  const std::uint32_t next = last.value_or(0) + 1;
  if (next == 0) return exhausted(fmt::format("store: counter {} is used up", counter));
  POSTERN_CHECK(put_number(kCounters, key, next));
  return next;
}

Result<std::optional<std::uint32_t>> KvDevices::ordinal_of(std::string_view id) const {
  if (id.empty() || id.size() > kIdCharactersMax) return std::nullopt;
  return number(kDeviceIds, tenant_key().text(id));
}

Result<std::optional<Device>> KvDevices::find(std::string_view id) const {
  POSTERN_TRY(const auto ordinal, ordinal_of(id));
  if (!ordinal) return std::nullopt;
  return find_by_ordinal(*ordinal);
}

Result<std::optional<Device>> KvDevices::find_by_ordinal(std::uint32_t ordinal) const {
  POSTERN_TRY(const auto record, get_record<record::Device>(read(), kDevices, tenant_key().u32(ordinal)));
  if (!record) return std::nullopt;
  return from_record(*record);
}

Result<std::optional<Device>> KvDevices::find_by_identity(const Digest& identity_hash) const {
  POSTERN_TRY(const auto ordinal, number(kDeviceIdentities, tenant_key().raw(identity_hash)));
  if (!ordinal) return std::nullopt;
  return find_by_ordinal(*ordinal);
}

Result<std::vector<Device>> KvDevices::at_gateway(std::uint32_t gateway) const {
  std::vector<Device> devices;
  POSTERN_CHECK(
      read().scan(kDevicesByGateway, tenant_key().u32(gateway), [&](Bytes key, Bytes) -> Result<bool> {
        KeyReader reader(key);
        POSTERN_CHECK(reader.u32());
        POSTERN_CHECK(reader.u32());
        POSTERN_TRY(const std::uint32_t ordinal, reader.u32());
        POSTERN_TRY(auto device, find_by_ordinal(ordinal));
        if (!device) return broken_index("list of a gateway's devices");
        devices.push_back(*std::move(device));
        return true;
      }));
  return devices;
}

Result<std::vector<Device>> KvDevices::list_named(const DeviceFilter& filter) const {
  std::vector<Device> devices;
  if (filter.gateway) {
    POSTERN_TRY(devices, at_gateway(*filter.gateway));
  } else {
    for (const std::string& id : filter.ids) {
      POSTERN_TRY(auto device, find(id));
      if (device) devices.push_back(*std::move(device));
    }
  }
  std::erase_if(devices, [&](const Device& device) {
    return (!filter.ids.empty() && !filter.ids.contains(device.id)) ||
           (!filter.statuses.empty() && !filter.statuses.contains(device.status()));
  });
  std::ranges::sort(devices, {},
                    [](const Device& device) { return std::pair(to_string(device.status()), device.id); });
  return devices;
}

Result<std::vector<Device>> KvDevices::list(const DeviceFilter& filter, std::size_t skip,
                                            std::size_t count) const {
  std::vector<Device> devices;
  if (!filter.ids.empty() || filter.gateway) {
    POSTERN_TRY(auto all, list_named(filter));
    for (std::size_t i = skip; i < all.size() && devices.size() < count; ++i)
      devices.push_back(std::move(all[i]));
    return devices;
  }
  for (const AuthStatus status : kByWord) {
    if (devices.size() >= count) break;
    if (!filter.statuses.empty() && !filter.statuses.contains(status)) continue;
    POSTERN_CHECK(read().scan(kDevicesByStatus, status_key(status), [&](Bytes, Bytes value) -> Result<bool> {
      if (skip > 0) {
        --skip;
        return true;
      }
      POSTERN_TRY(const std::uint32_t ordinal, KeyReader(value).u32());
      POSTERN_TRY(auto device, find_by_ordinal(ordinal));
      if (!device) return broken_index("list of devices");
      devices.push_back(*std::move(device));
      return devices.size() < count;
    }));
  }
  return devices;
}

Result<std::size_t> KvDevices::count(std::optional<AuthStatus> status) const {
  std::size_t total = 0;
  const KeyBuilder prefix = status ? status_key(*status) : tenant_key();
  POSTERN_CHECK(read().scan(kDevicesByStatus, prefix, [&](Bytes, Bytes) -> Result<bool> {
    ++total;
    return true;
  }));
  return total;
}

Result<std::size_t> KvDevices::count_at(std::uint32_t gateway) const {
  std::size_t total = 0;
  POSTERN_CHECK(read().scan(kDevicesByGateway, tenant_key().u32(gateway), [&](Bytes, Bytes) -> Result<bool> {
    ++total;
    return true;
  }));
  return total;
}

Result<std::vector<std::uint32_t>> KvDevices::accepted() const {
  std::vector<std::uint32_t> ordinals;
  POSTERN_CHECK(read().scan(kDevicesByStatus, status_key(AuthStatus::accepted),
                            [&](Bytes, Bytes value) -> Result<bool> {
                              POSTERN_TRY(const std::uint32_t ordinal, KeyReader(value).u32());
                              ordinals.push_back(ordinal);
                              return true;
                            }));
  return ordinals;
}

Result<std::optional<std::string>> KvDevices::id_of(std::uint32_t ordinal) const {
  POSTERN_TRY(const auto value, read().get(kDeviceIdOf, tenant_key().u32(ordinal)));
  if (!value) return std::nullopt;
  return std::string(as_text(*value));
}

Result<std::optional<std::uint32_t>> KvDevices::owner_of_set(std::string_view set_id) const {
  if (set_id.empty() || set_id.size() > kIdCharactersMax) return std::nullopt;
  return number(kAuthSets, tenant_key().text(set_id));
}

Status KvDevices::index_sets(const std::optional<Device>& before, const Device* device) {
  const auto has = [](const Device& of, const AuthSet& set) {
    return std::ranges::find(of.auth_sets, set.id, &AuthSet::id) != of.auth_sets.end();
  };
  if (before) {
    for (const AuthSet& set : before->auth_sets) {
      if (device == nullptr || !has(*device, set))
        POSTERN_CHECK(write().del(kAuthSets, tenant_key().text(set.id)));
    }
  }
  if (device == nullptr) return {};
  for (const AuthSet& set : device->auth_sets) {
    if (before && has(*before, set)) continue;
    POSTERN_CHECK(put_number(kAuthSets, tenant_key().text(set.id), device->ordinal));
  }
  return {};
}

Result<std::uint32_t> KvDevices::ordinals_end() const {
  POSTERN_TRY(const auto last, number(kCounters, tenant_key().text("device")));
  return last.value_or(0) + 1;
}

Result<DeviceProgress> KvDevices::progress(std::uint32_t ordinal) const {
  POSTERN_TRY(const auto record,
              get_record<record::DeviceProgress>(read(), kDeviceProgress, tenant_key().u32(ordinal)));
  if (!record) return DeviceProgress{};
  return DeviceProgress{.active_deployment = record->active_deployment(),
                        .last_finished = record->last_finished()};
}

Result<std::optional<TokenOwner>> KvDevices::find_token(std::string_view set_id) const {
  if (set_id.size() > kIdCharactersMax) return std::nullopt;
  POSTERN_TRY(const auto record,
              get_record<record::TokenOwner>(read(), kDeviceTokens, tenant_key().text(set_id)));
  if (!record) return std::nullopt;
  return from_record(*record);
}

Result<std::uint32_t> KvDevices::ordinal_for(std::string_view id) {
  if (id.empty() || id.size() > kIdCharactersMax) {
    return invalid(fmt::format("device id: the length must be between 1 and {}", kIdCharactersMax));
  }
  POSTERN_TRY(const auto known, ordinal_of(id));
  if (known) return *known;
  POSTERN_TRY(const std::uint32_t ordinal, next_number("device"));
  POSTERN_CHECK(put_number(kDeviceIds, tenant_key().text(id), ordinal));
  POSTERN_CHECK(write().put(kDeviceIdOf, tenant_key().u32(ordinal), as_bytes(id)));
  return ordinal;
}

Status KvDevices::put(Device& device) {
  POSTERN_TRY(device.ordinal, ordinal_for(device.id));
  POSTERN_TRY(const auto before, find_by_ordinal(device.ordinal));
  if (!before) {
    POSTERN_CHECK(put_number(kDeviceIdentities, tenant_key().raw(device.identity_hash), device.ordinal));
  }
  if (!before || before->status() != device.status()) {
    if (before) POSTERN_CHECK(write().del(kDevicesByStatus, status_key(before->status()).text(device.id)));
    POSTERN_CHECK(put_number(kDevicesByStatus, status_key(device.status()).text(device.id), device.ordinal));
  }
  POSTERN_CHECK(index_gateway(before, device));
  POSTERN_CHECK(index_sets(before, &device));
  note_change(device.ordinal);
  return put_record(write(), kDevices, tenant_key().u32(device.ordinal), to_record(device));
}

Status KvDevices::index_gateway(const std::optional<Device>& before, const Device& device) {
  const std::uint32_t from = before ? gateway_of(*before) : 0;
  const std::uint32_t to = gateway_of(device);
  if (from == to) return {};
  if (from != 0) {
    POSTERN_CHECK(write().del(kDevicesByGateway, tenant_key().u32(from).u32(device.ordinal)));
  }
  if (to == 0) return {};
  return write().put(kDevicesByGateway, tenant_key().u32(to).u32(device.ordinal), {});
}

Status KvDevices::erase(const Device& device) {
  for (const AuthSet& set : device.auth_sets) POSTERN_CHECK(erase_token(set.id));
  POSTERN_TRY(const auto before, find_by_ordinal(device.ordinal));
  POSTERN_CHECK(index_sets(before, nullptr));
  if (before) {
    for (const AuthSet& set : before->auth_sets) POSTERN_CHECK(erase_token(set.id));
    POSTERN_CHECK(write().del(kDevicesByStatus, status_key(before->status()).text(device.id)));
    POSTERN_CHECK(write().del(kDevicesByGateway, tenant_key().u32(gateway_of(*before)).u32(device.ordinal)));
  }
  POSTERN_CHECK(write().del(kDeviceIdentities, tenant_key().raw(device.identity_hash)));
  POSTERN_CHECK(write().del(kDeviceProgress, tenant_key().u32(device.ordinal)));
  note_change(device.ordinal);
  return write().del(kDevices, tenant_key().u32(device.ordinal));
}

Status KvDevices::put_progress(std::uint32_t ordinal, const DeviceProgress& progress) {
  record::DeviceProgress record;
  record.set_active_deployment(progress.active_deployment);
  record.set_last_finished(progress.last_finished);
  return put_record(write(), kDeviceProgress, tenant_key().u32(ordinal), record);
}

Status KvDevices::put_token(std::string_view set_id, const TokenOwner& owner) {
  return put_record(write(), kDeviceTokens, tenant_key().text(set_id), to_record(owner));
}

Status KvDevices::erase_token(std::string_view set_id) {
  return write().del(kDeviceTokens, tenant_key().text(set_id));
}

}  // namespace postern::cloud
