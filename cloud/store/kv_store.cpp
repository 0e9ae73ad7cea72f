#include "cloud/store/kv_store.hpp"

#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"

namespace postern::cloud {
namespace {

/// The aggregates of one transaction: `Tx` is ReadTx or WriteTx, `Txn` the transaction below.
template <class Tx, class Txn>
class KvTx : public Tx {
 public:
  explicit KvTx(Txn& txn)
      : devices_(txn),
        gateways_(txn),
        inventory_(txn),
        artifacts_(txn),
        releases_(txn),
        deployments_(txn),
        users_(txn),
        audit_(txn),
        tags_(txn),
        sightings_(txn),
        saved_filters_(txn) {}
  const DeviceReader& devices() const override { return devices_; }
  const GatewayReader& gateways() const override { return gateways_; }
  const InventoryReader& inventory() const override { return inventory_; }
  const ArtifactCatalog& artifacts() const override { return artifacts_; }
  const ReleaseReader& releases() const override { return releases_; }
  const DeploymentReader& deployments() const override { return deployments_; }
  const UserReader& users() const override { return users_; }
  const AuditReader& audit() const override { return audit_; }
  const TagReader& tags() const override { return tags_; }
  const SightingReader& sightings() const override { return sightings_; }
  const SavedFilterReader& saved_filters() const override { return saved_filters_; }

 protected:
  KvDevices devices_;
  KvGateways gateways_;
  KvInventory inventory_;
  KvArtifacts artifacts_;
  KvReleases releases_;
  KvDeployments deployments_;
  KvUsers users_;
  KvAudit audit_;
  KvTags tags_;
  KvSightings sightings_;
  KvSavedFilters saved_filters_;
};

using KvReadTx = KvTx<ReadTx, const ReadTxn>;

class KvWriteTx final : public KvTx<WriteTx, WriteTxn> {
 public:
  /// Adds the ordinals of devices that change to `changed`.
  KvWriteTx(WriteTxn& txn, std::vector<std::uint32_t>& changed) : KvTx(txn) {
    devices_.note_changes_in(changed);
    inventory_.note_changes_in(changed);
    tags_.note_changes_in(changed);
  }
  DeviceWriter& change_devices() override { return devices_; }
  GatewayWriter& change_gateways() override { return gateways_; }
  InventoryWriter& change_inventory() override { return inventory_; }
  ArtifactWriter& change_artifacts() override { return artifacts_; }
  ReleaseWriter& change_releases() override { return releases_; }
  DeploymentWriter& change_deployments() override { return deployments_; }
  UserWriter& change_users() override { return users_; }
  AuditWriter& change_audit() override { return audit_; }
  TagWriter& change_tags() override { return tags_; }
  SightingWriter& change_sightings() override { return sightings_; }
  SavedFilterWriter& change_saved_filters() override { return saved_filters_; }
};

}  // namespace

net::awaitable<Status> KvStore::read(std::function<Status(const ReadTx&)> work) {
  co_return read_here(work);
}

Status KvStore::read_here(const std::function<Status(const ReadTx&)>& work) {
  return database_.read([&](const ReadTxn& txn) { return work(KvReadTx(txn)); });
}

net::awaitable<Status> KvStore::transact(std::function<Status(WriteTx&)> work) {
  std::vector<std::uint32_t> changed;
  POSTERN_CO_CHECK(co_await database_.write([&work, &changed](WriteTxn& txn) {
    changed.clear();
    KvWriteTx tx(txn, changed);
    return work(tx);
  }));
  if (devices_changed_ && !changed.empty()) devices_changed_(changed);
  co_return Status{};
}

Result<std::unique_ptr<Database>> open_database(const std::string& directory, std::uint64_t bytes_max,
                                                Clock& clock, Log& log) {
  return open_lmdb_database({.path = directory,
                             .size_bytes_max = bytes_max,
                             .tables = {kTables.begin(), kTables.end()},
                             .schema_version = kSchemaVersion},
                            clock, log);
}

}  // namespace postern::cloud
