// What operators do with deployments (management-api 4.7, 4.8). Every function works inside a unit of work.
#pragma once

#include "cloud/store/store.hpp"

namespace postern::cloud {

/// What an operator asks for.
struct DeploymentOrder {
  std::string name;
  std::string artifact_name;
  std::vector<std::string> device_ids;  ///< need not exist; ignored with `all_devices`
  bool all_devices = false;             ///< everyone who is accepted at this moment
  bool force_installation = false;
};

/// Makes a deployment with `id`. Errors: invalid (no devices), unprocessable (no artifact of that name),
/// conflict (one with the same parameters is not finished yet).
Status create_deployment(WriteTx& tx, const DeploymentOrder& order, const std::string& id, WallTime now);

/// Ends a deployment for all its devices. Devices hear of it at their next report. Errors: unprocessable
/// (unknown or finished already).
Status abort_deployment(WriteTx& tx, std::string_view id, WallTime now);

/// Adds an artifact that was just stored to the unfinished deployments of its name (management-api 4.4).
Status join_open_deployments(WriteTx& tx, const Artifact& artifact);

/// Whether an unfinished deployment lists the artifact.
Result<bool> is_in_open_deployment(const ReadTx& tx, std::string_view artifact_id);

}  // namespace postern::cloud
