#include "cloud/fleet/fleet.hpp"

#include "shared/crypto/keys.hpp"
#include "shared/device_api/identity.hpp"

namespace postern::bench {
namespace {

/// A unit of work of the store is to end within 20 ms.
constexpr std::uint32_t kSlice = 200;

std::string mac_of(std::uint32_t number) {
  return fmt::format("02:00:{:02x}:{:02x}:{:02x}:{:02x}", number >> 24, number >> 16 & 255, number >> 8 & 255,
                     number & 255);
}

/// Half of them like those of many others, half the device's own, as real inventories are.
std::vector<InventoryAttribute> inventory_of(std::uint32_t number, std::uint32_t sites) {
  const auto text = [](std::string name, std::string value) {
    return InventoryAttribute{
        .name = std::move(name), .value = boost::json::string(value), .description = {}};
  };
  const auto digits = [](std::string name, std::int64_t value) {
    return InventoryAttribute{.name = std::move(name), .value = value, .description = {}};
  };
  return {
      text("artifact_name", fmt::format("release-{}", number % 7)),
      text("boot_id", fmt::format("{:08x}-aaaa-4bbb-8ccc-{:012x}", number * 2654435761U, number)),
      digits("cpu_count", 1 << number % 4),
      text("cpu_model", fmt::format("Cortex-A{}", 53 + number % 5)),
      text("device_type", fmt::format("press-{}", number % 12)),
      digits("disk_free_kb", 1'000'000 + number % 90'001),
      text("hostname", fmt::format("press-{:07}", number)),
      text("ipv4_eth0", fmt::format("10.{}.{}.{}/8", number >> 16 & 255, number >> 8 & 255, number & 255)),
      text("kernel", fmt::format("Linux 6.1.{}", number % 90)),
      text("line", fmt::format("line-{}", number % 400)),
      text("mac_eth0", mac_of(number)),
      digits("mem_total_kb", 262'144LL << number % 5),
      text("network_interfaces", "eth0"),
      text("os", fmt::format("Debian GNU/Linux {}", 10 + number % 4)),
      text("rootfs.version", fmt::format("{}.{}", number % 3, number % 10)),
      text("rootfs_type", "ext4"),
      digits("serial", 4'000'000'000LL + number),
      text("site", fmt::format("plant-{}", number % sites)),
      digits("temperature", 20 + number % 60),
      digits("uptime", number * 37LL % 9'000'000),
  };
}

struct Maker {
  cloud::Store& store;
  const FleetOptions& options;
  std::string key_pem;
  WallTime now;

  Result<cloud::Device> make(std::uint32_t number, const std::string& id, const std::string& set_id) const {
    POSTERN_TRY(const Identity identity, parse_identity(fmt::format(R"({{"mac":"{}"}})", mac_of(number))));
    cloud::Device device;
    device.id = id;
    device.identity = identity.canonical;
    device.identity_hash = identity.hash;
    device.auth_sets.push_back({.id = set_id,
                                .public_key_pem = key_pem,
                                .tier = "standard",
                                .status = cloud::AuthStatus::accepted,
                                .created = now,
                                .voucher = {}});
    device.created = device.updated = now;
    device.was_accepted = true;
    device.presence = cloud::Presence{.place = {}, .since = now, .is_proved = true};
    device.first_seen = now;
    return device;
  }

  Status add(cloud::WriteTx& tx, std::uint32_t number, const std::string& id,
             const std::string& set_id) const {
    POSTERN_TRY(cloud::Device device, make(number, id, set_id));
    POSTERN_CHECK(tx.change_devices().put(device));
    POSTERN_CHECK(tx.change_devices().put_token(
        set_id, {.ordinal = device.ordinal, .device_id = id, .place = cloud::Place{}}));
    return tx.change_inventory().put(device.ordinal,
                                     {.attributes = inventory_of(number, options.sites), .updated = now});
  }
};

}  // namespace

net::awaitable<Status> fill(cloud::Store& store, const cloud::DeviceTokens& issuer,
                            const FleetOptions& options, Random& random, WallTime now, std::ostream& tokens,
                            const std::function<void(std::uint32_t done)>& told) {
  const Maker maker{.store = store,
                    .options = options,
                    .key_pem = PrivateKey::generate(KeyType::ecdsa).public_key().to_pem(),
                    .now = now};
  const std::uint32_t every = std::max(1U, options.devices / std::max(1U, options.tokens));
  std::uint32_t issued = 0;
  for (std::uint32_t begin = 0; begin < options.devices; begin += kSlice) {
    const std::uint32_t count = std::min(kSlice, options.devices - begin);
    std::vector<std::pair<std::string, std::string>> ids(count);
    for (auto& [id, set_id] : ids) {
      id = random.uuid();
      set_id = random.uuid();
    }
    POSTERN_CO_CHECK(co_await store.transact([&](cloud::WriteTx& tx) -> Status {
      for (std::uint32_t i = 0; i < count; ++i) {
        POSTERN_CHECK(maker.add(tx, begin + i, ids[i].first, ids[i].second));
      }
      return {};
    }));
    for (std::uint32_t i = 0; i < count; ++i) {
      if ((begin + i) % every != 0 || issued == options.tokens) continue;
      ++issued;
      tokens << ids[i].first << ' ' << issuer.issue(ids[i].second, ids[i].first, now) << '\n';
    }
    told(begin + count);
  }
  co_return Status{};
}

}  // namespace postern::bench
