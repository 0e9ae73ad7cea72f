#include "cloud/store/convert.hpp"
#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/store/record.hpp"

namespace postern::cloud {

Result<Inventory> KvInventory::get(std::uint32_t device) const {
  POSTERN_TRY(const auto record,
              get_record<record::Inventory>(read(), kInventories, tenant_key().u32(device)));
  if (!record) return Inventory{};
  return from_record(*record);
}

Status KvInventory::put(std::uint32_t device, const Inventory& inventory) {
  note_change(device);
  return put_record(write(), kInventories, tenant_key().u32(device), to_record(inventory));
}

Status KvInventory::erase(std::uint32_t device) {
  note_change(device);
  return write().del(kInventories, tenant_key().u32(device));
}

}  // namespace postern::cloud
