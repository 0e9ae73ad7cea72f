#include "cloud/api/management/device_json.hpp"

#include <boost/json.hpp>

namespace postern::cloud::management {

namespace json = boost::json;

namespace {

bool is_shown(const Projection& projection, const DeviceAttribute& attribute) {
  if (!projection || (attribute.scope == Scope::system && attribute.name == "updated_ts")) return true;
  return std::ranges::any_of(*projection, [&](const auto& wanted) {
    return wanted.first == attribute.scope && wanted.second == attribute.name;
  });
}

}  // namespace

json::object to_json(const Portrait& portrait, const Projection& projection) {
  json::array attributes;
  for (const DeviceAttribute& attribute : portrait.attributes) {
    if (!is_shown(projection, attribute)) continue;
    json::object item{
        {"name", attribute.name}, {"value", attribute.value}, {"scope", to_string(attribute.scope)}};
    if (!attribute.description.empty()) item["description"] = attribute.description;
    if (attribute.set) item["timestamp"] = to_rfc3339(*attribute.set);
    attributes.push_back(std::move(item));
  }
  return {{"id", portrait.id},
          {"updated_ts", to_rfc3339(portrait.updated)},
          {"attributes", std::move(attributes)}};
}

net::awaitable<Result<std::vector<Portrait>>> read_portraits(Store& store, LastSeen& last_seen,
                                                             std::vector<std::uint32_t> devices) {
  std::vector<Portrait> portraits;
  POSTERN_CO_CHECK(co_await store.read([&](const ReadTx& tx) -> Status {
    for (const std::uint32_t ordinal : devices) {
      POSTERN_TRY(const auto device, tx.devices().find_by_ordinal(ordinal));
      if (!device) continue;
      POSTERN_TRY(Portrait portrait, portray(tx, *device, last_seen.of(ordinal)));
      portraits.push_back(std::move(portrait));
    }
    return {};
  }));
  co_return portraits;
}

net::awaitable<Result<json::array>> read_devices(Store& store, LastSeen& last_seen,
                                                 std::vector<std::uint32_t> devices, Projection projection) {
  POSTERN_CO_TRY(const auto portraits, co_await read_portraits(store, last_seen, std::move(devices)));
  json::array items;
  for (const Portrait& portrait : portraits) items.push_back(to_json(portrait, projection));
  co_return items;
}

}  // namespace postern::cloud::management
