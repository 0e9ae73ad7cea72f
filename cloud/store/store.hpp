// The store: every aggregate, reached through one unit of work.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/awaitable.hpp>

#include "cloud/audit/audit.hpp"
#include "cloud/auth/devices.hpp"
#include "cloud/deployments/deployments.hpp"
#include "cloud/gateways/gateways.hpp"
#include "cloud/inventory/inventory.hpp"
#include "cloud/inventory/last_seen.hpp"
#include "cloud/inventory/saved_filters.hpp"
#include "cloud/inventory/tags.hpp"
#include "cloud/releases/artifacts.hpp"
#include "cloud/releases/labels.hpp"
#include "cloud/users/users.hpp"

namespace postern::cloud {

/// What a unit of work can read: one snapshot, and its own writes.
class ReadTx {
 public:
  virtual ~ReadTx() = default;
  virtual const DeviceReader& devices() const = 0;
  virtual const GatewayReader& gateways() const = 0;
  virtual const InventoryReader& inventory() const = 0;
  virtual const ArtifactCatalog& artifacts() const = 0;
  virtual const ReleaseReader& releases() const = 0;
  virtual const DeploymentReader& deployments() const = 0;
  virtual const UserReader& users() const = 0;
  virtual const AuditReader& audit() const = 0;
  virtual const TagReader& tags() const = 0;
  virtual const SightingReader& sightings() const = 0;
  virtual const SavedFilterReader& saved_filters() const = 0;
};

/// What a unit of work can change. All of it becomes durable together, or nothing does.
class WriteTx : public ReadTx {
 public:
  virtual DeviceWriter& change_devices() = 0;
  virtual GatewayWriter& change_gateways() = 0;
  virtual InventoryWriter& change_inventory() = 0;
  virtual ArtifactWriter& change_artifacts() = 0;
  virtual ReleaseWriter& change_releases() = 0;
  virtual DeploymentWriter& change_deployments() = 0;
  virtual UserWriter& change_users() = 0;
  virtual AuditWriter& change_audit() = 0;
  virtual TagWriter& change_tags() = 0;
  virtual SightingWriter& change_sightings() = 0;
  virtual SavedFilterWriter& change_saved_filters() = 0;
};

/// Thread-safe. Nothing that a closure gets from a transaction outlives it (decision 16).
class Store {
 public:
  virtual ~Store() = default;
  /// Runs `work` once, where the caller runs.
  virtual net::awaitable<Status> read(std::function<Status(const ReadTx&)> work) = 0;
  /// The same for a thread that may wait, such as one of the pool's. Blocking.
  virtual Status read_here(const std::function<Status(const ReadTx&)>& work) = 0;
  /// Resumes once everything is durable. An error of `work` leaves nothing behind. `work` may run twice and
  /// on another thread, so it only assigns to its captures.
  virtual net::awaitable<Status> transact(std::function<Status(WriteTx&)> work) = 0;
};

}  // namespace postern::cloud
