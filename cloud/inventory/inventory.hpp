// What devices report about themselves.
#pragma once

#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/device_api/plane.hpp"

namespace postern::cloud {

/// Attributes in scope `inventory`; at most kAttributesMax (management-api 3.1).
struct Inventory {
  static constexpr std::size_t kAttributesMax = 100;

  std::vector<InventoryAttribute> attributes;  ///< sorted by name
  WallTime updated;

  /// Takes over a report. False: nothing changed. Errors: invalid (too many attributes).
  Result<bool> apply(std::vector<InventoryAttribute> report, InventoryMode mode);
};

class InventoryReader {
 public:
  virtual ~InventoryReader() = default;
  virtual Result<Inventory> get(std::uint32_t device) const = 0;
};

class InventoryWriter {
 public:
  virtual ~InventoryWriter() = default;
  virtual Status put(std::uint32_t device, const Inventory& inventory) = 0;
  virtual Status erase(std::uint32_t device) = 0;
};

}  // namespace postern::cloud
