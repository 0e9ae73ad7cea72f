// How deployments go on: polls, reports, aborts. Every function works inside a unit of work.
#pragma once

#include "cloud/store/store.hpp"
#include "shared/rollout/select.hpp"

namespace postern::cloud {

/// What a poll is answered with.
struct PollOutcome {
  rollout::Decision decision;
  bool must_store = false;           ///< the decision changes what is stored
  std::optional<Artifact> artifact;  ///< with an Offer
};

/// Decides a poll without storing anything.
Result<PollOutcome> inspect_poll(const ReadTx& tx, std::uint32_t device, const rollout::Device& report,
                                 WallTime now);
/// Decides a poll and stores what follows from it.
Result<PollOutcome> decide_poll(WriteTx& tx, std::uint32_t device, const rollout::Device& report,
                                WallTime now);

/// The status as others see it: aborting a deployment ends it for all of its devices at once, without a write
/// for each.
rollout::DeviceStatus effective_status(const Deployment& deployment,
                                       const DeviceDeployment& device_deployment);

/// What a report would change. Errors: not_found, conflict (aborted, decommissioned), invalid.
Result<rollout::ReportEffect> inspect_report(const ReadTx& tx, std::string_view deployment_id,
                                             std::uint32_t device, rollout::DeviceStatus status);
/// Takes a device's report. Errors as inspect_report.
Status take_report(WriteTx& tx, std::string_view deployment_id, std::uint32_t device,
                   rollout::DeviceStatus status, std::string_view substate, WallTime now);

/// Stores a device's log as text, one line an entry, cut to 1 MiB from its oldest entries. Errors: not_found.
Status store_log(WriteTx& tx, std::string_view deployment_id, std::uint32_t device, std::string_view text);

/// Gives a device's open deployment, if it has one, its end from our side.
Status end_active_deployment(WriteTx& tx, std::uint32_t device, rollout::DeviceStatus status, WallTime now);

}  // namespace postern::cloud
