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
  rollout::Plan plan{};       ///< its percentages are turned into sizes here
  std::string site{};         ///< instead of devices: those at the site when they ask
  std::string filter_json{};  ///< instead of devices: those that these terms match when they ask
  std::string filter_id{};
  std::chrono::seconds stuck_after{0};
  AuditEntry::Actor actor{};
};

/// Makes a deployment with `id`. Errors: invalid (no devices), unprocessable (no artifact of that name),
/// conflict (one with the same parameters is not finished yet).
Status create_deployment(WriteTx& tx, const DeploymentOrder& order, const std::string& id, WallTime now);

/// Ends a deployment for all its devices. Devices hear of it at their next report. Errors: unprocessable
/// (unknown or finished already).
Status abort_deployment(WriteTx& tx, std::string_view id, const AuditEntry::Actor& actor, WallTime now);
/// Lets no further device begin. Errors: unprocessable.
Status pause_deployment(WriteTx& tx, std::string_view id, const AuditEntry::Actor& actor, WallTime now);
/// Goes on where an operator or failures held the deployment, counting failures anew; where nothing did, lets
/// the phase begin that waits for it. Errors: unprocessable.
Status resume_deployment(WriteTx& tx, std::string_view id, const AuditEntry::Actor& actor, WallTime now);

/// Aborts what a device is busy with. Errors: not_found.
Status abort_device(WriteTx& tx, std::string_view device_id, const AuditEntry::Actor& actor, WallTime now);
/// Takes what a device has finished out of its history. Errors: not_found.
Status hide_history(WriteTx& tx, std::string_view device_id, const AuditEntry::Actor& actor, WallTime now);

/// Adds an artifact that was just stored to the unfinished deployments of its name (management-api 4.4).
Status join_open_deployments(WriteTx& tx, const Artifact& artifact);

/// Whether an unfinished deployment lists the artifact.
Result<bool> is_in_open_deployment(const ReadTx& tx, std::string_view artifact_id);

}  // namespace postern::cloud
