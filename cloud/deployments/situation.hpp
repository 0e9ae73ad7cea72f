// What a device's poll is decided from.
#pragma once

#include "cloud/store/store.hpp"
#include "shared/rollout/select.hpp"

namespace postern::cloud {

struct Situation {
  std::vector<rollout::Candidate> candidates;
  std::uint64_t last_finished = 0;
  std::uint32_t active = 0;  ///< ordinal of the deployment that the device is busy with; 0: none
};

/// Everything that rollout::select needs to know about one device.
Result<Situation> situation_of(const ReadTx& tx, std::uint32_t device, WallTime now);

/// Whether a deployment without a list of devices means this one at this moment.
Result<bool> is_meant_now(const ReadTx& tx, const Deployment& deployment, std::uint32_t device);
/// The site that a device talks from; empty: directly, or never.
Result<std::string> site_of(const ReadTx& tx, std::uint32_t device);

/// Writes down who changed a deployment.
Status audit(WriteTx& tx, std::string action, const AuditEntry::Actor& actor, const Deployment& deployment,
             WallTime now);

}  // namespace postern::cloud
