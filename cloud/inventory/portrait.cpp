#include "cloud/inventory/portrait.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::cloud {
namespace {

namespace json = boost::json;

void add(Portrait& portrait, Scope scope, std::string_view name, json::value value) {
  portrait.attributes.push_back(
      {.scope = scope, .name = std::string(name), .value = std::move(value), .description = {}, .set = {}});
}

Status add_identity(Portrait& portrait, const Device& device) {
  auto identity = http::parse_json(device.identity);
  if (!identity || !identity->is_object()) {
    return corrupt(fmt::format("identity of device {} is no JSON object", device.id));
  }
  add(portrait, Scope::identity, "status", json::string(to_string(portrait.status)));
  for (const auto& [name, value] : identity->get_object()) add(portrait, Scope::identity, name, value);
  return {};
}

void add_system(Portrait& portrait, const Device& device, std::optional<WallTime> last_seen) {
  if (!device.group.empty()) add(portrait, Scope::system, "group", json::string(device.group));
  add(portrait, Scope::system, "created_ts", json::string(to_rfc3339(portrait.created)));
  add(portrait, Scope::system, "updated_ts", json::string(to_rfc3339(portrait.updated)));
  if (last_seen) add(portrait, Scope::system, "check_in_time", json::string(to_rfc3339(*last_seen)));
  if (!device.presence || device.presence->place.is_direct()) return;
  add(portrait, Scope::system, "site", json::string(device.presence->place.site));
  add(portrait, Scope::system, "gateway", json::string(device.presence->place.gateway_name));
}

std::string tier_of(const Device& device) {
  const auto set = std::ranges::find(device.auth_sets, device.status(), &AuthSet::status);
  return set == device.auth_sets.end() || set->tier.empty() ? "standard" : set->tier;
}

}  // namespace

const json::value* Portrait::find(Scope scope, std::string_view attribute) const {
  for (const DeviceAttribute& each : attributes) {
    if (each.scope == scope && each.name == attribute) return &each.value;
  }
  return nullptr;
}

Result<Portrait> portray(const ReadTx& tx, const Device& device, std::optional<WallTime> last_seen) {
  POSTERN_TRY(Inventory inventory, tx.inventory().get(device.ordinal));
  POSTERN_TRY(DeviceTags tags, tx.tags().get(device.ordinal));
  Portrait portrait{.ordinal = device.ordinal,
                    .id = device.id,
                    .status = device.status(),
                    .tier = tier_of(device),
                    .created = device.created,
                    .updated = std::max(device.updated, inventory.updated),
                    .group = device.group,
                    .tags_etag = tags.etag,
                    .attributes = {}};
  for (InventoryAttribute& attribute : inventory.attributes) {
    portrait.attributes.push_back({.scope = Scope::inventory,
                                   .name = std::move(attribute.name),
                                   .value = std::move(attribute.value),
                                   .description = std::move(attribute.description),
                                   .set = {}});
  }
  POSTERN_CHECK(add_identity(portrait, device));
  add_system(portrait, device, last_seen);
  for (Tag& tag : tags.tags) {
    portrait.attributes.push_back({.scope = Scope::tags,
                                   .name = std::move(tag.name),
                                   .value = std::move(tag.value),
                                   .description = std::move(tag.description),
                                   .set = tag.set});
  }
  return portrait;
}

bool matches(const Filter& filter, const Portrait& portrait) {
  const json::value id(portrait.id);
  return matches(filter, [&](Scope scope, std::string_view attribute) {
    return scope == Scope::identity && attribute == "id" ? &id : portrait.find(scope, attribute);
  });
}

}  // namespace postern::cloud
