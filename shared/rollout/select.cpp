#include "shared/rollout/select.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

namespace postern::rollout {
namespace {

struct Outcome {
  Decision decision;
  Reason reason;
};

std::vector<const Candidate*> oldest_first(std::span<const Candidate> candidates) {
  std::vector<const Candidate*> ordered;
  ordered.reserve(candidates.size());
  for (const Candidate& candidate : candidates) ordered.push_back(&candidate);
  std::ranges::sort(ordered, {}, &Candidate::order);
  return ordered;
}

bool is_active_for_device(const Candidate& candidate) {
  return candidate.device_deployment && is_active(candidate.device_deployment->status);
}

std::uint64_t last_finished(const Query& query, std::span<const Candidate> candidates) {
  std::uint64_t last = query.last_finished;
  for (const Candidate& candidate : candidates) {
    const auto& record = candidate.device_deployment;
    if (record && is_final(record->status)) last = std::max(last, candidate.order);
  }
  return last;
}

/// Why a deployment without an active record cannot begin for the device; nothing when it can.
std::optional<Reason> obstacle(const Candidate& candidate, std::uint64_t last) {
  if (candidate.device_deployment) return Reason::ended_for_device;
  if (candidate.is_finished) return Reason::finished;
  if (!candidate.is_target) return Reason::not_targeted;
  if (candidate.order <= last) return Reason::older_than_last_finished;
  if (candidate.max_devices > 0 && candidate.device_deployment_count >= candidate.max_devices) {
    return Reason::device_limit_reached;
  }
  return std::nullopt;
}

/// An update that has begun comes before everything else; then the oldest deployment that can begin.
const Candidate* choose(std::span<const Candidate* const> ordered, std::uint64_t last) {
  const auto active =
      std::ranges::find_if(ordered, [](const Candidate* c) { return is_active_for_device(*c); });
  if (active != ordered.end()) return *active;
  const auto next = std::ranges::find_if(ordered, [last](const Candidate* c) { return !obstacle(*c, last); });
  return next != ordered.end() ? *next : nullptr;
}

bool waits_for_retry(const Candidate& candidate) {
  return is_active_for_device(candidate) && candidate.device_deployment->waits_for_retry;
}

bool fits(const ArtifactChoice& artifact, const Device& device) {
  return std::ranges::find(artifact.device_types, device.device_type) != artifact.device_types.end();
}

/// What forbids one more update to begin.
std::optional<Reason> over_budget(const Budget& budget) {
  if (budget.failures == 0U) return Reason::no_failures_left;
  if (budget.starts == 0U) return Reason::no_starts_left;
  if (budget.concurrent == 0U) return Reason::no_concurrent_left;
  return std::nullopt;
}

Outcome offer_unless_over_budget(Offer offer, const Budget& budget) {
  const auto forbidden = offer.is_new || offer.is_retry ? over_budget(budget) : std::nullopt;
  if (forbidden) return {Nothing{*forbidden, std::move(offer.deployment_id)}, *forbidden};
  return {std::move(offer), Reason::offered};
}

/// Steps 3 to 7 of device-protocol 2.4, for the deployment that was chosen.
Outcome decide(const Candidate& candidate, const Device& device, const Budget& budget) {
  const std::string& id = candidate.deployment_id;
  const auto& record = candidate.device_deployment;
  const bool is_new = !record;
  if (record && record->request && *record->request != device) {
    return {Conflict{id}, Reason::conflicting_request};
  }
  const bool is_retry = waits_for_retry(candidate);
  if (candidate.hold && (is_new || is_retry)) {
    return {Nothing{candidate.hold->reason, id}, candidate.hold->reason};
  }
  if (candidate.is_configuration) {
    return offer_unless_over_budget(Offer{id, "", is_new, false, is_retry}, budget);
  }

  const bool is_assigned = record && record->artifact_id;
  const ArtifactChoice* artifact = nullptr;
  if (is_assigned) {
    const auto found = std::ranges::find(candidate.artifacts, *record->artifact_id, &ArtifactChoice::id);
    if (found == candidate.artifacts.end()) {
      return {Nothing{Reason::assigned_artifact_missing, id}, Reason::assigned_artifact_missing};
    }
    artifact = &*found;
  } else {
    artifact = smallest_fitting(candidate, device);
    if (artifact == nullptr) return {NoArtifact{id, is_new}, Reason::no_compatible_artifact};
  }

  const bool has_begun = record && record->status != DeviceStatus::pending;
  if (!candidate.force_installation && !has_begun && artifact->name == device.artifact_name) {
    return {AlreadyInstalled{id, artifact->id, is_new, !is_assigned}, Reason::already_installed};
  }
  if (!artifact->is_servable) return {Nothing{Reason::not_servable, id}, Reason::not_servable};
  return offer_unless_over_budget(Offer{id, artifact->id, is_new, !is_assigned, is_retry}, budget);
}

std::string until(const Candidate& candidate, std::string_view otherwise) {
  const bool is_known = candidate.hold && candidate.hold->until;
  return is_known ? "at " + to_rfc3339(*candidate.hold->until) : std::string(otherwise);
}

std::string describe(Reason reason, const Candidate& candidate, const Device& device) {
  switch (reason) {
    case Reason::offered:
      return "The device is given this deployment.";
    case Reason::already_installed:
      return fmt::format(
          "The device already reports artifact \"{}\"; a deployment with force_installation would "
          "install it again.",
          device.artifact_name);
    case Reason::no_compatible_artifact:
      return fmt::format(
          "No artifact of the release fits device type \"{}\"; upload one that does and deploy "
          "the release again.",
          device.device_type);
    case Reason::conflicting_request:
      return "The device reports a device type, artifact name or provides other than when it began this "
             "deployment, which fails for it; deploy again to reach it.";
    case Reason::not_servable:
      return "The artifact cannot be served yet; the device gets it once its content is complete and "
             "verified.";
    case Reason::assigned_artifact_missing:
      return "The artifact assigned to the device is no longer part of the deployment; abort the deployment "
             "and "
             "create a new one.";
    case Reason::no_starts_left:
      return "The budget for starting updates is used up; the device gets the deployment when the budget is "
             "raised.";
    case Reason::no_concurrent_left:
      return "As many devices as allowed are updating now; the device gets the deployment when one of them "
             "has "
             "finished.";
    case Reason::no_failures_left:
      return "As many devices as allowed have failed; the device gets the deployment when the failure budget "
             "is "
             "raised.";
    case Reason::ended_for_device:
      return fmt::format(
          "The deployment ended for this device with status {}; only a new deployment reaches it.",
          candidate.device_deployment ? to_string(candidate.device_deployment->status) : "unknown");
    case Reason::finished:
      return "The deployment is finished; only a new deployment reaches the device.";
    case Reason::not_targeted:
      return "The device is not among the deployment's devices; create a deployment that names it.";
    case Reason::older_than_last_finished:
      return "The deployment was created before the last one that the device finished; create it anew.";
    case Reason::device_limit_reached:
      return fmt::format(
          "The deployment has reached its limit of {} devices; a new deployment reaches the device.",
          candidate.max_devices);
    case Reason::paused:
      return "The deployment is paused; the device gets it when an operator resumes it.";
    case Reason::stopped_by_failures:
      return "The deployment has stopped because too many devices failed; the device gets it when an "
             "operator "
             "resumes it.";
    case Reason::phase_not_begun:
      return fmt::format("The phases that have begun are full; the next one begins {}.",
                         until(candidate,
                               "when an operator resumes the deployment, or when the devices "
                               "before it have finished"));
    case Reason::window_closed:
      return fmt::format("The maintenance window is closed; it opens {}.", until(candidate, "later"));
    case Reason::no_concurrent_at_site:
      return "As many devices of its site as allowed are updating now; the device gets the deployment when "
             "one "
             "of them has finished.";
    case Reason::behind_another:
      return "Another deployment comes first; the device gets this one at a poll after that one has ended.";
    case Reason::no_deployment:
      return "No deployment is waiting for the device.";
  }
  return {};
}

}  // namespace

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::offered:
      return "offered";
    case Reason::already_installed:
      return "already-installed";
    case Reason::no_compatible_artifact:
      return "no-compatible-artifact";
    case Reason::conflicting_request:
      return "conflicting-request";
    case Reason::not_servable:
      return "not-servable";
    case Reason::assigned_artifact_missing:
      return "assigned-artifact-missing";
    case Reason::no_starts_left:
      return "no-starts-left";
    case Reason::no_concurrent_left:
      return "no-concurrent-left";
    case Reason::no_failures_left:
      return "no-failures-left";
    case Reason::ended_for_device:
      return "ended-for-device";
    case Reason::finished:
      return "finished";
    case Reason::not_targeted:
      return "not-targeted";
    case Reason::older_than_last_finished:
      return "older-than-last-finished";
    case Reason::device_limit_reached:
      return "device-limit-reached";
    case Reason::paused:
      return "paused";
    case Reason::stopped_by_failures:
      return "stopped-by-failures";
    case Reason::phase_not_begun:
      return "phase-not-begun";
    case Reason::window_closed:
      return "window-closed";
    case Reason::no_concurrent_at_site:
      return "no-concurrent-at-site";
    case Reason::behind_another:
      return "behind-another";
    case Reason::no_deployment:
      return "no-deployment";
  }
  return "unknown";
}

/// The smallest that fits. The id decides between equals, so that everyone who decides picks the same.
const ArtifactChoice* smallest_fitting(const Candidate& candidate, const Device& device) {
  const ArtifactChoice* best = nullptr;
  for (const ArtifactChoice& artifact : candidate.artifacts) {
    if (!fits(artifact, device)) continue;
    if (best == nullptr ||
        std::tie(artifact.size_bytes, artifact.id) < std::tie(best->size_bytes, best->id)) {
      best = &artifact;
    }
  }
  return best;
}

std::vector<std::string> unmet_depends(const ArtifactChoice& artifact, const Device& device) {
  std::vector<std::string> unmet;
  for (const auto& [name, values] : artifact.depends) {
    const auto provided = device.provides.find(name);
    const std::string value = name == "device_type"               ? device.device_type
                              : name == "artifact_name"           ? device.artifact_name
                              : provided != device.provides.end() ? provided->second
                                                                  : "";
    if (std::ranges::find(values, value) != values.end()) continue;
    unmet.push_back(fmt::format("{} is one of {}; the device says {}", name, fmt::join(values, ", "),
                                value.empty() ? "nothing" : value));
  }
  return unmet;
}

Selection select(const Query& query, std::span<const Candidate> candidates, const Budget& budget,
                 Explain explain) {
  const auto ordered = oldest_first(candidates);
  const std::uint64_t last = last_finished(query, candidates);
  const Candidate* chosen = choose(ordered, last);
  Outcome outcome = chosen != nullptr ? decide(*chosen, query.device, budget)
                                      : Outcome{Nothing{Reason::no_deployment, ""}, Reason::no_deployment};

  Selection selection;
  selection.decision = std::move(outcome.decision);
  if (explain == Explain::no) return selection;
  for (const Candidate* candidate : ordered) {
    Reason reason = Reason::behind_another;
    if (candidate == chosen) {
      reason = outcome.reason;
    } else if (!is_active_for_device(*candidate)) {
      reason = obstacle(*candidate, last).value_or(Reason::behind_another);
    }
    selection.considered.push_back(
        {candidate->deployment_id, reason, describe(reason, *candidate, query.device)});
  }
  return selection;
}

}  // namespace postern::rollout
