#include "cloud/api/management/inventory.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

Result<json::object> to_json(const Device& device, const Inventory& inventory) {
  json::array attributes;
  const auto add = [&](std::string_view name, json::value value, std::string_view scope) -> json::object& {
    return attributes
        .emplace_back(json::object{{"name", name}, {"value", std::move(value)}, {"scope", scope}})
        .get_object();
  };
  for (const InventoryAttribute& attribute : inventory.attributes) {
    json::object& item = add(attribute.name, attribute.value, "inventory");
    if (!attribute.description.empty()) item["description"] = attribute.description;
  }
  auto identity = http::parse_json(device.identity);
  if (!identity || !identity->is_object()) {
    return corrupt(fmt::format("identity of device {} is no JSON object", device.id));
  }
  for (const auto& [name, value] : identity->get_object()) add(name, value, "identity");
  add("status", json::string(to_string(device.status())), "identity");
  const WallTime updated = std::max(device.updated, inventory.updated);
  add("created_ts", json::string(to_rfc3339(device.created)), "system");
  add("updated_ts", json::string(to_rfc3339(updated)), "system");
  return json::object{
      {"id", device.id}, {"updated_ts", to_rfc3339(updated)}, {"attributes", std::move(attributes)}};
}

}  // namespace

void InventoryRoutes::add_routes(http::Router& router, Gate& gate) {
  router.add("GET", "/api/management/v1/inventory/devices/{id}",
             gate.for_users([this](http::Request& request, const Session&) { return show(request); }));
}

net::awaitable<Result<http::Response>> InventoryRoutes::show(http::Request& request) {
  std::optional<Device> device;
  Inventory inventory;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(device, tx.devices().find(request.parameter("id")));
    if (!device) return {};
    POSTERN_TRY(inventory, tx.inventory().get(device->ordinal));
    return {};
  }));
  if (!device) co_return not_found("Device not found");
  POSTERN_CO_TRY(const auto body, to_json(*device, inventory));
  co_return http::json_answer(200, body);
}

}  // namespace postern::cloud::management
