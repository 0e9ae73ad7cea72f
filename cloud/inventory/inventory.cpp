#include "cloud/inventory/inventory.hpp"

namespace postern::cloud {
namespace {

bool same(const std::vector<InventoryAttribute>& a, const std::vector<InventoryAttribute>& b) {
  return std::ranges::equal(a, b, [](const InventoryAttribute& x, const InventoryAttribute& y) {
    return x.name == y.name && x.description == y.description && x.value == y.value;
  });
}

}  // namespace

Result<bool> Inventory::apply(std::vector<InventoryAttribute> report, InventoryMode mode) {
  if (mode == InventoryMode::merge) {
    for (const InventoryAttribute& kept : attributes) {
      const auto reported = std::ranges::find(report, kept.name, &InventoryAttribute::name);
      if (reported == report.end()) report.push_back(kept);
    }
  }
  if (report.size() > kAttributesMax) {
    return invalid("the number of attributes in the scope is above the limit");
  }
  // Clients send the same attributes in another order each time (real-clients 2).
  std::ranges::sort(report, {}, &InventoryAttribute::name);
  if (same(report, attributes)) return false;
  attributes = std::move(report);
  return true;
}

}  // namespace postern::cloud
