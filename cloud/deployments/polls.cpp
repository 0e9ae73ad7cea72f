#include "cloud/deployments/polls.hpp"

namespace postern::cloud {

void Polls::note(std::uint32_t device, const rollout::Device& report, WallTime now) {
  const std::scoped_lock lock(mutex_);
  if (polls_.size() >= kDevicesMax && !polls_.contains(device)) polls_.erase(polls_.begin());
  Poll& poll = polls_[device];
  poll.at = now;
  if (poll.report != report) poll.report = report;
}

std::optional<Polls::Poll> Polls::find(std::uint32_t device) const {
  const std::scoped_lock lock(mutex_);
  const auto found = polls_.find(device);
  return found != polls_.end() ? std::optional(found->second) : std::nullopt;
}

}  // namespace postern::cloud
