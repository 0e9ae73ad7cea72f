// What a device and a deployment are doing, in the protocol's words, and the counts made of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::rollout {

/// Where one device is in one deployment (device-protocol 2.3).
enum class DeviceStatus : unsigned char {
  pending,
  downloading,
  installing,
  rebooting,
  pause_before_installing,
  pause_before_committing,
  pause_before_rebooting,
  success,
  failure,
  already_installed,
  noartifact,
  aborted,
  decommissioned,
};

inline constexpr std::size_t kDeviceStatusCount = 13;

/// The protocol's word, such as "already-installed".
std::string_view to_string(DeviceStatus status);
/// Nothing for a word that is no status. Words are compared exactly.
std::optional<DeviceStatus> parse_device_status(std::string_view word);

/// The device still has to finish.
bool is_active(DeviceStatus status);
/// The outcome is known and never changes again.
inline bool is_final(DeviceStatus status) {
  return !is_active(status);
}
/// A device may report it; the others are set by the server only (device-protocol 2.5).
bool is_reportable(DeviceStatus status);

/// What a device's report does to the status that is stored. Reports between two active statuses are taken in
/// any order: real clients go from rebooting back to installing.
enum class ReportEffect : unsigned char {
  stored,          ///< the new status replaces the old one          -> 204
  unchanged,       ///< the same again, or after a final status      -> 204, nothing is written
  refused_status,  ///< devices cannot report this status            -> 400
  aborted,         ///< somebody aborted the deployment              -> 409 Deployment aborted
  decommissioned,  ///< the device was decommissioned                -> 409 Device decommissioned
};
ReportEffect on_report(DeviceStatus stored, DeviceStatus reported);

/// Where a deployment is (management-api 4.8).
enum class DeploymentStatus : unsigned char { pending, inprogress, finished };

std::string_view to_string(DeploymentStatus status);
std::optional<DeploymentStatus> parse_deployment_status(std::string_view word);

/// How many devices of one deployment have each status; targets that never asked count as pending.
class Statistics {
 public:
  std::uint32_t count(DeviceStatus status) const { return counts_[index(status)]; }
  void set(DeviceStatus status, std::uint32_t count) { counts_[index(status)] = count; }
  /// One more device has `status`.
  void add(DeviceStatus status) { ++counts_[index(status)]; }
  /// One device goes from `from`, which must not be at zero, to `to`.
  void move(DeviceStatus from, DeviceStatus to);
  /// Devices whose outcome is known.
  std::uint32_t finals() const;
  /// Status of a deployment with `targets` devices (management-api 4.8); `has_finish_time` when it was
  /// finished before, by its devices or by hand.
  DeploymentStatus deployment_status(std::uint32_t targets, bool has_finish_time) const;

  bool operator==(const Statistics&) const = default;

 private:
  static std::size_t index(DeviceStatus status) { return static_cast<std::size_t>(status); }

  std::array<std::uint32_t, kDeviceStatusCount> counts_{};
};

}  // namespace postern::rollout
