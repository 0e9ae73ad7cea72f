// Deployments, and what each device has made of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/rollout/plan.hpp"
#include "shared/rollout/select.hpp"

namespace postern::cloud {

struct Deployment {
  std::uint32_t ordinal = 0;  ///< order of creation, and its number in keys; 0 until it is stored
  std::string id;
  std::string name;
  std::string artifact_name;
  std::vector<std::string> artifact_ids;
  bool force_installation = false;
  bool all_devices = false;
  std::uint32_t target_count = 0;
  /// Hash over what makes two deployments the same (management-api 4.7).
  std::string fingerprint;
  WallTime created;
  std::optional<WallTime> finished;

  rollout::Plan plan;
  rollout::RunState state = rollout::RunState::running;
  std::optional<WallTime> state_since;  ///< when an operator or failures changed it last
  /// Instead of a list of devices: those that are at the site, or that the filter matches, when they ask.
  std::string site;
  std::string filter_id;
  std::string filter_json;  ///< its terms as they were at creation
  /// A device that says nothing for so long in the middle of the update is stuck; 0: as configured.
  std::chrono::seconds stuck_after{0};
  std::uint32_t initial_count = 0;  ///< devices that were meant at creation

  /// Its devices are not known before they ask.
  bool is_dynamic() const { return !site.empty() || !filter_json.empty(); }
  /// After so many devices there is nobody left; 0: never.
  std::uint32_t device_limit() const;
};

/// What changes with every report, apart from the record that does not.
struct DeploymentCounts {
  rollout::Statistics statistics;
  std::uint32_t device_count = 0;  ///< devices that have asked for the deployment
  std::uint64_t total_size_bytes = 0;
  std::uint32_t running = 0;  ///< devices that update now, without those that wait for another attempt
  std::map<std::string, std::uint32_t> running_at;  ///< the same by site, where the plan has a cap per site
  rollout::Outcomes outcomes;                       ///< since an operator resumed it last
};

/// One device in one deployment; made when the device is first given the deployment.
struct DeviceDeployment {
  std::uint32_t device = 0;      ///< ordinal
  std::uint32_t deployment = 0;  ///< ordinal
  rollout::DeviceDeployment state;
  std::string substate;
  WallTime created;
  std::optional<WallTime> started;
  std::optional<WallTime> finished;
  bool has_log = false;
  std::uint32_t failed_attempts = 0;
  std::string site;                 ///< where it began; empty where nobody counts by site
  std::optional<WallTime> changed;  ///< when it began or reported another status last
  bool is_hidden = false;           ///< an operator deleted it from the device's history
};

struct DeploymentFilter {
  std::optional<rollout::DeploymentStatus> status;
  std::string search;                          ///< in name or artifact name; empty: all
  std::optional<std::int64_t> created_after;   ///< Unix seconds, inclusive
  std::optional<std::int64_t> created_before;  ///< Unix seconds, inclusive
  bool oldest_first = false;
  bool matches_nothing = false;  ///< asks for a kind of deployment that this server does not make
};

struct DeploymentPage {
  std::vector<Deployment> deployments;
  std::size_t total = 0;
};

class DeploymentReader {
 public:
  virtual ~DeploymentReader() = default;
  virtual Result<std::optional<Deployment>> find(std::string_view id) const = 0;
  virtual Result<std::optional<Deployment>> find_by_ordinal(std::uint32_t ordinal) const = 0;
  virtual Result<DeploymentPage> list(const DeploymentFilter& filter, std::size_t skip,
                                      std::size_t count) const = 0;
  /// Unfinished deployments, oldest first.
  virtual Result<std::vector<Deployment>> open() const = 0;
  virtual Result<DeploymentCounts> counts(std::uint32_t deployment) const = 0;
  virtual Result<bool> is_target(std::uint32_t deployment, std::uint32_t device) const = 0;
  virtual Result<std::vector<std::uint32_t>> targets(std::uint32_t deployment) const = 0;
  virtual Result<std::optional<DeviceDeployment>> find_device(std::uint32_t deployment,
                                                              std::uint32_t device) const = 0;
  /// All device deployments of a deployment, by device ordinal.
  virtual Result<std::vector<DeviceDeployment>> devices_of(std::uint32_t deployment) const = 0;
  /// Ordinals of the deployments that a device has a record in, oldest first.
  virtual Result<std::vector<std::uint32_t>> deployments_of(std::uint32_t device) const = 0;
  /// The log as text, one line an entry.
  virtual Result<std::optional<std::string>> log(std::uint32_t deployment, std::uint32_t device) const = 0;
};

class DeploymentWriter {
 public:
  virtual ~DeploymentWriter() = default;
  /// Stores a new deployment with its targets, and gives it its ordinal.
  virtual Status add(Deployment& deployment, const std::vector<std::uint32_t>& targets) = 0;
  /// Stores a changed deployment.
  virtual Status put(const Deployment& deployment) = 0;
  virtual Status put_counts(std::uint32_t deployment, const DeploymentCounts& counts) = 0;
  virtual Status put_device(const DeviceDeployment& device_deployment) = 0;
  virtual Status put_log(std::uint32_t deployment, std::uint32_t device, std::string_view text) = 0;
};

}  // namespace postern::cloud
