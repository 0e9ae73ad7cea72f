// The aggregates over the tables of an ordered key-value transaction, be it LMDB's or that of the memory.
#pragma once

#include "cloud/store/store.hpp"
#include "shared/store/kv.hpp"

namespace postern::cloud {

/// A transaction, as the aggregates hold it: all read, and those of a WriteTx also write.
class KvTxn {
 public:
  explicit KvTxn(const ReadTxn& txn) : read_(txn) {}
  explicit KvTxn(WriteTxn& txn) : read_(txn), write_(&txn) {}

  void note_changes_in(std::vector<std::uint32_t>& changed) { changed_ = &changed; }

 protected:
  const ReadTxn& read() const { return read_; }
  WriteTxn& write() { return *write_; }
  /// What searches know of this device is no longer right.
  void note_change(std::uint32_t device) {
    if (changed_ != nullptr) changed_->push_back(device);
  }

  /// The number behind `key`; nothing when there is none.
  Result<std::optional<std::uint32_t>> number(Table table, Bytes key) const;
  Status put_number(Table table, Bytes key, std::uint32_t number);
  /// Counts up and returns the new value, which is never 0.
  Result<std::uint32_t> next_number(std::string_view counter);

 private:
  const ReadTxn& read_;
  WriteTxn* write_ = nullptr;
  std::vector<std::uint32_t>* changed_ = nullptr;
};

class KvDevices final : public DeviceReader, public DeviceWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  using KvTxn::note_changes_in;
  Result<std::optional<Device>> find(std::string_view id) const override;
  Result<std::optional<Device>> find_by_ordinal(std::uint32_t ordinal) const override;
  Result<std::optional<Device>> find_by_identity(const Digest& identity_hash) const override;
  Result<std::vector<Device>> list(const DeviceFilter& filter, std::size_t skip,
                                   std::size_t count) const override;
  Result<std::size_t> count(std::optional<AuthStatus> status) const override;
  Result<std::size_t> count_at(std::uint32_t gateway) const override;
  Result<std::vector<std::uint32_t>> accepted() const override;
  Result<std::optional<std::string>> id_of(std::uint32_t ordinal) const override;
  Result<std::optional<std::uint32_t>> owner_of_set(std::string_view set_id) const override;
  Result<std::uint32_t> ordinals_end() const override;
  Result<std::optional<std::uint32_t>> ordinal_of(std::string_view id) const override;
  Result<DeviceProgress> progress(std::uint32_t ordinal) const override;
  Result<std::optional<TokenOwner>> find_token(std::string_view set_id) const override;

  Status put(Device& device) override;
  Status erase(const Device& device) override;
  Result<std::uint32_t> ordinal_for(std::string_view id) override;
  Status put_progress(std::uint32_t ordinal, const DeviceProgress& progress) override;
  Status put_token(std::string_view set_id, const TokenOwner& owner) override;
  Status erase_token(std::string_view set_id) override;

 private:
  /// Those that `filter` names by id or by gateway, all of them.
  Result<std::vector<Device>> list_named(const DeviceFilter& filter) const;
  Result<std::vector<Device>> at_gateway(std::uint32_t gateway) const;
  /// Keeps owner_of_set() right; nothing instead of a device: it is new, or goes.
  Status index_sets(const std::optional<Device>& before, const Device* device);
  Status index_gateway(const std::optional<Device>& before, const Device& device);
};

class KvGateways final : public GatewayReader, public GatewayWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  Result<std::optional<Gateway>> find(std::string_view id) const override;
  Result<std::optional<Gateway>> find_by_ordinal(std::uint32_t ordinal) const override;
  Result<std::optional<Gateway>> find_by_name(std::string_view issuer, std::string_view name) const override;
  Result<std::vector<Gateway>> list() const override;
  Status put(Gateway& gateway) override;
};

class KvInventory final : public InventoryReader, public InventoryWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  using KvTxn::note_changes_in;
  Result<Inventory> get(std::uint32_t device) const override;
  Status put(std::uint32_t device, const Inventory& inventory) override;
  Status erase(std::uint32_t device) override;
};

class KvArtifacts final : public ArtifactCatalog, public ArtifactWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  Result<std::optional<Artifact>> find(std::string_view id) const override;
  Result<std::vector<Artifact>> release(std::string_view name) const override;
  Result<std::vector<Artifact>> list() const override;
  Result<std::optional<DependsCombination>> conflict_of(const Artifact& artifact) const override;
  Result<std::uint64_t> total_bytes() const override;
  Status add(const Artifact& artifact) override;
  Status put(const Artifact& artifact) override;
  Status erase(const Artifact& artifact) override;

 private:
  Status put_total(std::uint64_t bytes);
};

class KvReleases final : public ReleaseReader, public ReleaseWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  Result<std::optional<ReleaseLabels>> find(std::string_view name) const override;
  Result<std::vector<ReleaseLabels>> list() const override;
  Status put(const ReleaseLabels& labels) override;
  Status erase(std::string_view name) override;
};

class KvDeployments final : public DeploymentReader, public DeploymentWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  Result<std::optional<Deployment>> find(std::string_view id) const override;
  Result<std::optional<Deployment>> find_by_ordinal(std::uint32_t ordinal) const override;
  Result<DeploymentPage> list(const DeploymentFilter& filter, std::size_t skip,
                              std::size_t count) const override;
  Result<std::vector<Deployment>> open() const override;
  Result<DeploymentCounts> counts(std::uint32_t deployment) const override;
  Result<bool> is_target(std::uint32_t deployment, std::uint32_t device) const override;
  Result<std::vector<std::uint32_t>> targets(std::uint32_t deployment) const override;
  Result<std::optional<DeviceDeployment>> find_device(std::uint32_t deployment,
                                                      std::uint32_t device) const override;
  Result<std::vector<DeviceDeployment>> devices_of(std::uint32_t deployment) const override;
  Result<std::vector<std::uint32_t>> deployments_of(std::uint32_t device) const override;
  Result<std::optional<std::string>> log(std::uint32_t deployment, std::uint32_t device) const override;

  Status add(Deployment& deployment, const std::vector<std::uint32_t>& targets) override;
  Status put(const Deployment& deployment) override;
  Status put_counts(std::uint32_t deployment, const DeploymentCounts& counts) override;
  Status put_device(const DeviceDeployment& device_deployment) override;
  Status put_log(std::uint32_t deployment, std::uint32_t device, std::string_view text) override;

 private:
  Result<bool> matches(const DeploymentFilter& filter, const Deployment& deployment) const;
};

class KvUsers final : public UserReader, public UserWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  Result<std::optional<User>> find(std::string_view id) const override;
  Result<std::optional<User>> find_by_email(std::string_view email) const override;
  Result<std::optional<UserToken>> find_token(std::string_view user_id,
                                              std::string_view token_id) const override;
  Result<std::vector<UserToken>> tokens(std::string_view user_id) const override;
  Result<std::vector<User>> list() const override;
  Result<std::optional<Settings>> settings(std::string_view user_id) const override;
  Status put(const User& user) override;
  Status erase(const User& user) override;
  Status put_token(const UserToken& token) override;
  Status erase_token(std::string_view user_id, std::string_view token_id) override;
  Status put_settings(std::string_view user_id, const Settings& settings) override;
};

class KvAudit final : public AuditReader, public AuditWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  Result<AuditPage> list(const AuditFilter& filter, std::size_t skip, std::size_t count) const override;
  Status add(AuditEntry entry) override;
};

class KvTags final : public TagReader, public TagWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  using KvTxn::note_changes_in;
  Result<DeviceTags> get(std::uint32_t device) const override;
  Status put(std::uint32_t device, const DeviceTags& tags) override;
  Status erase(std::uint32_t device) override;
};

class KvSightings final : public SightingReader, public SightingWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  Result<std::vector<Sighting>> list() const override;
  Status put(const Sighting& sighting) override;
  Status erase(std::uint32_t device) override;
};

class KvSavedFilters final : public SavedFilterReader, public SavedFilterWriter, private KvTxn {
 public:
  using KvTxn::KvTxn;
  Result<std::optional<SavedFilter>> find(std::string_view id) const override;
  Result<std::vector<SavedFilter>> list() const override;
  Status put(const SavedFilter& filter) override;
  Status erase(std::string_view id) override;
};

}  // namespace postern::cloud
