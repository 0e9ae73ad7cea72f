// Why a device is not updating, and which devices do not get on. Every function works inside a unit of work.
#pragma once

#include "cloud/deployments/polls.hpp"
#include "cloud/store/store.hpp"

namespace postern::cloud {

/// The answer to "why is this device not updating?".
struct Explanation {
  std::string reason;         ///< a word: one of rollout::Reason, or one of those in why.cpp
  std::string text;           ///< sentences for an operator: what is the case, and what would change it
  std::string deployment_id;  ///< the deployment that it is about; empty: none
  std::string deployment_name;
  std::vector<rollout::Considered> considered;  ///< every open deployment, oldest first
};

/// Says what the device's next poll would be answered, and why. `poll` is its last one; nothing: none is
/// remembered, and what the device said otherwise has to do. Errors: not_found.
Result<Explanation> explain(const ReadTx& tx, std::string_view device_id,
                            const std::optional<Polls::Poll>& poll, WallTime now);

/// A device in the middle of an update that it does not get on with.
struct StuckDevice {
  std::string device_id;
  std::string deployment_id;
  std::string deployment_name;
  rollout::DeviceStatus status{};
  std::string substate;
  WallTime since;
};

/// Devices in unfinished deployments without another status for longer than the deployment, or else
/// `otherwise`, allows; at most `count_max`, of the oldest deployments first.
Result<std::vector<StuckDevice>> stuck_devices(const ReadTx& tx, std::chrono::seconds otherwise,
                                               std::size_t count_max, WallTime now);

}  // namespace postern::cloud
