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
        audit_(txn) {}
  const DeviceReader& devices() const override { return devices_; }
  const GatewayReader& gateways() const override { return gateways_; }
  const InventoryReader& inventory() const override { return inventory_; }
  const ArtifactCatalog& artifacts() const override { return artifacts_; }
  const ReleaseReader& releases() const override { return releases_; }
  const DeploymentReader& deployments() const override { return deployments_; }
  const UserReader& users() const override { return users_; }
  const AuditReader& audit() const override { return audit_; }

 protected:
  KvDevices devices_;
  KvGateways gateways_;
  KvInventory inventory_;
  KvArtifacts artifacts_;
  KvReleases releases_;
  KvDeployments deployments_;
  KvUsers users_;
  KvAudit audit_;
};

using KvReadTx = KvTx<ReadTx, const ReadTxn>;

class KvWriteTx final : public KvTx<WriteTx, WriteTxn> {
 public:
  using KvTx::KvTx;
  DeviceWriter& change_devices() override { return devices_; }
  GatewayWriter& change_gateways() override { return gateways_; }
  InventoryWriter& change_inventory() override { return inventory_; }
  ArtifactWriter& change_artifacts() override { return artifacts_; }
  ReleaseWriter& change_releases() override { return releases_; }
  DeploymentWriter& change_deployments() override { return deployments_; }
  UserWriter& change_users() override { return users_; }
  AuditWriter& change_audit() override { return audit_; }
};

}  // namespace

net::awaitable<Status> KvStore::read(std::function<Status(const ReadTx&)> work) {
  co_return database_.read([&](const ReadTxn& txn) { return work(KvReadTx(txn)); });
}

net::awaitable<Status> KvStore::transact(std::function<Status(WriteTx&)> work) {
  co_return co_await database_.write([&work](WriteTxn& txn) {
    KvWriteTx tx(txn);
    return work(tx);
  });
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
