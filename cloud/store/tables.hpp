// How the store is laid out: its tables, and how their keys are spelled. Every key starts with the tenant's
// number; in what follows `device`, `gateway` and `deployment` are ordinals, which are 32 bits wide.
#pragma once

#include <array>

#include "shared/store/key.hpp"
#include "shared/store/kv.hpp"

namespace postern::cloud {

inline constexpr std::uint32_t kSchemaVersion = 1;
inline constexpr std::uint32_t kDefaultTenant = 1;

/// Starts a key.
inline KeyBuilder tenant_key() {
  return KeyBuilder().u32(kDefaultTenant);
}

inline constexpr Table kCounters{"counters"};        ///< name -> last ordinal given out
inline constexpr Table kDevices{"devices"};          ///< device -> record.Device
inline constexpr Table kDeviceIds{"device_ids"};     ///< id -> device; also of ids that no device has
inline constexpr Table kDeviceIdOf{"device_id_of"};  ///< device -> id
inline constexpr Table kDevicesByStatus{"devices_by_status"};    ///< rank of the status's word, id -> device
inline constexpr Table kDeviceIdentities{"device_identities"};   ///< SHA-256 of the identity -> device
inline constexpr Table kDeviceProgress{"device_progress"};       ///< device -> record.DeviceProgress
inline constexpr Table kDeviceTokens{"device_tokens"};           ///< auth set id -> record.TokenOwner
inline constexpr Table kDevicesByGateway{"devices_by_gateway"};  ///< gateway, device -> nothing
inline constexpr Table kGateways{"gateways"};                    ///< gateway -> record.Gateway
inline constexpr Table kGatewayIds{"gateway_ids"};               ///< id -> gateway
inline constexpr Table kGatewayNames{"gateway_names"};           ///< hash of issuer and name -> gateway
inline constexpr Table kInventories{"inventories"};              ///< device -> record.Inventory
inline constexpr Table kArtifacts{"artifacts"};                  ///< id -> record.Artifact
inline constexpr Table kArtifactsByName{"artifacts_by_name"};    ///< long name, id -> nothing
inline constexpr Table kArtifactUses{"artifact_uses"};        ///< hash of name and depends combination -> id
inline constexpr Table kDeployments{"deployments"};           ///< deployment -> record.Deployment
inline constexpr Table kDeploymentIds{"deployment_ids"};      ///< id -> deployment
inline constexpr Table kOpenDeployments{"open_deployments"};  ///< deployment -> nothing, while unfinished
inline constexpr Table kDeploymentCounts{"deployment_counts"};  ///< deployment -> record.DeploymentCounts
inline constexpr Table kTargets{"targets"};  ///< deployment, page -> bitset of 4096 devices
inline constexpr Table kDeviceDeployments{
    "device_deployments"};  ///< deployment, device -> record.DeviceDeployment
inline constexpr Table kDeploymentsOfDevice{"deployments_of_device"};  ///< device, deployment -> nothing
inline constexpr Table kDeviceLogs{"device_logs"};  ///< deployment, device -> record.DeviceLog
inline constexpr Table kUsers{"users"};             ///< id -> record.User
inline constexpr Table kUserNames{"user_names"};    ///< name -> id
inline constexpr Table kUserTokens{"user_tokens"};  ///< user id, token id -> record.UserToken
inline constexpr Table kSettings{"settings"};       ///< user id, or nothing for all -> record.Settings
inline constexpr Table kAuthSets{"auth_sets"};      ///< auth set id -> device
inline constexpr Table kDeviceTags{"device_tags"};  ///< device -> record.DeviceTags
inline constexpr Table kDevicesLastSeen{"devices_last_seen"};  ///< device -> milliseconds
inline constexpr Table kSavedFilters{"saved_filters"};         ///< id -> record.SavedFilter
inline constexpr Table kAuditLog{"audit_log"};                 ///< milliseconds, number -> record.AuditEntry

// Releases
inline constexpr Table kReleaseLabels{"release_labels"};  ///< long name -> record.ReleaseLabels
inline constexpr Table kStorageUse{"storage_use"};        ///< nothing -> record.StorageUse

inline constexpr std::array kTables{kCounters,
                                    kDevices,
                                    kDeviceIds,
                                    kDeviceIdOf,
                                    kDevicesByStatus,
                                    kDeviceIdentities,
                                    kDeviceProgress,
                                    kDeviceTokens,
                                    kInventories,
                                    kArtifacts,
                                    kArtifactsByName,
                                    kArtifactUses,
                                    kDeployments,
                                    kDeploymentIds,
                                    kOpenDeployments,
                                    kDeploymentCounts,
                                    kTargets,
                                    kDeviceDeployments,
                                    kDeploymentsOfDevice,
                                    kDeviceLogs,
                                    kUsers,
                                    kUserNames,
                                    kUserTokens,
                                    kDevicesByGateway,
                                    kGateways,
                                    kGatewayIds,
                                    kGatewayNames,
                                    kAuditLog,
                                    kSettings,
                                    kReleaseLabels,
                                    kStorageUse,
                                    kDeviceTags,
                                    kDevicesLastSeen,
                                    kSavedFilters,
                                    kAuthSets};

}  // namespace postern::cloud
