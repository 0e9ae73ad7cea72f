#include "shared/rollout/status.hpp"

#include <algorithm>

#include "shared/base/check.hpp"

namespace postern::rollout {
namespace {

struct StatusFacts {
  DeviceStatus status;
  std::string_view word;
  bool is_active;
  bool is_reportable;
};

constexpr std::array<StatusFacts, kDeviceStatusCount> kFacts{{
    {DeviceStatus::pending, "pending", true, false},
    {DeviceStatus::downloading, "downloading", true, true},
    {DeviceStatus::installing, "installing", true, true},
    {DeviceStatus::rebooting, "rebooting", true, true},
    {DeviceStatus::pause_before_installing, "pause_before_installing", true, true},
    {DeviceStatus::pause_before_committing, "pause_before_committing", true, true},
    {DeviceStatus::pause_before_rebooting, "pause_before_rebooting", true, true},
    {DeviceStatus::success, "success", false, true},
    {DeviceStatus::failure, "failure", false, true},
    {DeviceStatus::already_installed, "already-installed", false, true},
    {DeviceStatus::noartifact, "noartifact", false, false},
    {DeviceStatus::aborted, "aborted", false, false},
    {DeviceStatus::decommissioned, "decommissioned", false, false},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kFacts.size(); ++i) {
    if (static_cast<std::size_t>(kFacts[i].status) != i) return false;
  }
  return true;
}
static_assert(in_order(), "each status has its row, at its own place");

const StatusFacts& facts(DeviceStatus status) {
  return kFacts[static_cast<std::size_t>(status)];
}

constexpr std::array<std::string_view, 3> kDeploymentWords{"pending", "inprogress", "finished"};

}  // namespace

std::string_view to_string(DeviceStatus status) {
  return facts(status).word;
}

std::optional<DeviceStatus> parse_device_status(std::string_view word) {
  const auto found = std::ranges::find(kFacts, word, &StatusFacts::word);
  if (found == kFacts.end()) return std::nullopt;
  return found->status;
}

bool is_active(DeviceStatus status) {
  return facts(status).is_active;
}

bool is_reportable(DeviceStatus status) {
  return facts(status).is_reportable;
}

ReportEffect on_report(DeviceStatus stored, DeviceStatus reported) {
  if (!is_reportable(reported)) return ReportEffect::refused_status;
  if (stored == DeviceStatus::aborted) return ReportEffect::aborted;
  if (stored == DeviceStatus::decommissioned) return ReportEffect::decommissioned;
  if (stored == reported || is_final(stored)) return ReportEffect::unchanged;
  return ReportEffect::stored;
}

std::string_view to_string(DeploymentStatus status) {
  return kDeploymentWords[static_cast<std::size_t>(status)];
}

std::optional<DeploymentStatus> parse_deployment_status(std::string_view word) {
  const auto found = std::ranges::find(kDeploymentWords, word);
  if (found == kDeploymentWords.end()) return std::nullopt;
  return static_cast<DeploymentStatus>(found - kDeploymentWords.begin());
}

void Statistics::move(DeviceStatus from, DeviceStatus to) {
  POSTERN_ASSERT(counts_[index(from)] > 0);
  --counts_[index(from)];
  ++counts_[index(to)];
}

std::uint32_t Statistics::finals() const {
  std::uint32_t sum = 0;
  for (const StatusFacts& row : kFacts) {
    if (!row.is_active) sum += count(row.status);
  }
  return sum;
}

DeploymentStatus Statistics::deployment_status(std::uint32_t targets, bool has_finish_time) const {
  if (has_finish_time || (targets > 0 && finals() >= targets)) return DeploymentStatus::finished;
  const bool any_begun = std::ranges::any_of(kFacts, [this](const StatusFacts& row) {
    // A decommissioned device says nothing about the rollout (management-api 4.8).
    return row.status != DeviceStatus::pending && row.status != DeviceStatus::decommissioned &&
           count(row.status) > 0;
  });
  return any_begun ? DeploymentStatus::inprogress : DeploymentStatus::pending;
}

}  // namespace postern::rollout
