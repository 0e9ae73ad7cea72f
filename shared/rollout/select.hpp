// Which deployment and which artifact a device gets at a poll. Pure: same inputs, same answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/rollout/plan.hpp"
#include "shared/rollout/reason.hpp"
#include "shared/rollout/status.hpp"

namespace postern::rollout {

/// What a device says about itself in a poll (device-protocol 2.1).
struct Device {
  std::string device_type;
  std::string artifact_name;
  std::map<std::string, std::string> provides;  ///< without device_type and artifact_name

  bool operator==(const Device&) const = default;
};

/// One artifact of a deployment's release.
struct ArtifactChoice {
  std::string id;
  std::string name;
  std::vector<std::string> device_types;
  /// What else the artifact needs. Not looked at here: the device checks it (management-api 4.8).
  std::map<std::string, std::vector<std::string>> depends;
  std::uint64_t size_bytes = 0;
  /// Its bytes can be served to the end right now. While false, devices are told to come back later.
  bool is_servable = true;
};

/// The record of one device in one deployment, made when the device is first given the deployment.
struct DeviceDeployment {
  DeviceStatus status = DeviceStatus::pending;
  std::optional<Device> request;           ///< what the device said first; absent until its first poll
  std::optional<std::string> artifact_id;  ///< assigned for good
  /// It failed and has attempts left: the next one begins when the deployment's plan lets it.
  bool waits_for_retry = false;
};

/// A deployment as seen from one device.
struct Candidate {
  std::string deployment_id;
  /// Place in the order of creation: unique, larger is younger, starts at 1.
  std::uint64_t order = 0;
  bool is_finished = false;
  bool is_target = false;         ///< the device is on the deployment's list
  bool is_configuration = false;  ///< carries its content itself: no artifact is looked up
  bool force_installation = false;
  std::uint32_t max_devices = 0;  ///< 0: no limit
  std::uint32_t device_deployment_count = 0;
  std::optional<DeviceDeployment> device_deployment;  ///< the device's record, when there is one
  std::vector<ArtifactChoice> artifacts;
  std::optional<Hold> hold;  ///< what the deployment's plan says against a beginning now
};

/// What may still be spent; nothing means unlimited. The caller has subtracted what is running already, and
/// takes one from `starts` and `concurrent` for each new offer.
struct Budget {
  std::optional<std::uint32_t> starts;
  std::optional<std::uint32_t> concurrent;
  std::optional<std::uint32_t> failures;
};

/// 200: give the device this artifact.
struct Offer {
  std::string deployment_id;
  std::string artifact_id;        ///< empty for a configuration deployment
  bool is_new = false;            ///< make the device deployment (pending); takes from the budget
  bool assigns_artifact = false;  ///< store `artifact_id` in it
  bool is_retry = false;          ///< another attempt begins; takes from the budget

  bool operator==(const Offer&) const = default;
};
/// 204, and nothing is stored.
struct Nothing {
  Reason reason = Reason::no_deployment;
  std::string deployment_id;  ///< the deployment that has to wait; empty with no_deployment

  bool operator==(const Nothing&) const = default;
};
/// 204; the device deployment becomes already-installed.
struct AlreadyInstalled {
  std::string deployment_id;
  std::string artifact_id;
  bool is_new = false;
  bool assigns_artifact = false;

  bool operator==(const AlreadyInstalled&) const = default;
};
/// 204; the device deployment becomes noartifact.
struct NoArtifact {
  std::string deployment_id;
  bool is_new = false;

  bool operator==(const NoArtifact&) const = default;
};
/// 409; the device deployment becomes failure.
struct Conflict {
  std::string deployment_id;

  bool operator==(const Conflict&) const = default;
};
/// With Offer, AlreadyInstalled and NoArtifact the poll's report is stored as the device deployment's request
/// if it has none yet.
using Decision = std::variant<Nothing, Offer, AlreadyInstalled, NoArtifact, Conflict>;

/// Why one deployment was or was not given to the device.
struct Considered {
  std::string deployment_id;
  Reason reason;
  std::string text;  ///< one sentence for an operator, saying what would change it
};

struct Selection {
  Decision decision;
  std::vector<Considered> considered;  ///< oldest deployment first; empty unless asked for
};

struct Query {
  Device device;
  /// Order of the youngest deployment that the device has finished, as far as the candidates do not show it
  /// themselves; 0 for none.
  std::uint64_t last_finished = 0;
};

enum class Explain : bool { no, yes };

/// What the artifact depends on and the device does not provide, as "name is one of a, b; the device says c".
/// The device refuses such an artifact itself.
std::vector<std::string> unmet_depends(const ArtifactChoice& artifact, const Device& device);
/// The artifact that the device would be assigned; null: none fits.
const ArtifactChoice* smallest_fitting(const Candidate& candidate, const Device& device);

/// Decides one poll (device-protocol 2.4). `candidates` come in any order and hold at least every deployment
/// in which the device has an active record, and every unfinished one that has the device on its list. Does
/// no I/O, reads no clock.
Selection select(const Query& query, std::span<const Candidate> candidates, const Budget& budget,
                 Explain explain = Explain::no);

}  // namespace postern::rollout
