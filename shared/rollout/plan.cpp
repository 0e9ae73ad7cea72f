#include "shared/rollout/plan.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace postern::rollout {
namespace {

/// The number of the slice of time that `now` is in.
std::int64_t slice_of(const StopRule& rule, WallTime now) {
  const auto length = std::max<std::int64_t>(rule.within.count() / StopRule::kSlices, 1);
  return unix_seconds(now) / length;
}

struct Tally {
  std::uint64_t finished = 0;
  std::uint64_t failed = 0;
};

Tally tally(const StopRule& rule, const Outcomes& outcomes, WallTime now) {
  if (rule.last > 0) {
    return {.finished = outcomes.last.size(),
            .failed = static_cast<std::uint64_t>(std::ranges::count(outcomes.last, '1'))};
  }
  if (rule.within.count() == 0) return {.finished = outcomes.finished, .failed = outcomes.failed};
  Tally sum;
  for (const Outcomes::Slice& slice : outcomes.slices) {
    if (slice.number + StopRule::kSlices < slice_of(rule, now)) continue;
    sum.finished += slice.finished;
    sum.failed += slice.failed;
  }
  return sum;
}

bool has_begun(const Phase& phase, bool is_first, std::uint32_t devices_before, const PlanProgress& progress,
               WallTime now) {
  if (phase.waits_for_resume) return false;
  if (phase.start) return *phase.start <= now;
  return is_first || progress.finished >= devices_before;
}

}  // namespace

Status size_phases(std::vector<Phase>& phases, std::uint32_t targets) {
  if (phases.size() > kPhasesMax) return invalid(fmt::format("phases: at most {} are possible", kPhasesMax));
  std::uint64_t taken = 0;
  std::uint64_t percent = 0;
  std::optional<WallTime> before;
  for (std::size_t i = 0; i < phases.size(); ++i) {
    Phase& phase = phases[i];
    if (phase.start && before && *phase.start < *before) {
      return invalid("phases: each has to start after the one before");
    }
    if (phase.start) before = phase.start;
    const bool is_last = i + 1 == phases.size();
    percent += phase.percent;
    if (percent > 100) return invalid("phases: the batches add up to more than 100 percent");
    if (phase.percent > 0) {
      phase.size = static_cast<std::uint32_t>(std::uint64_t{targets} * phase.percent / 100);
    }
    if (is_last) phase.size = targets > taken ? static_cast<std::uint32_t>(targets - taken) : 0;
    // Targets that come and go by a filter may fill the last batch later.
    if (phase.size == 0 && !(is_last && targets == 0)) {
      return invalid(fmt::format(
          "Attempt to create a batch with zero devices not allowed. Batch: ({}) will be empty", i + 1));
    }
    taken += phase.size;
  }
  return {};
}

void Outcomes::add(const StopRule& rule, bool has_failed, WallTime now) {
  ++finished;
  failed += has_failed ? 1 : 0;
  if (rule.last > 0) {
    last.push_back(has_failed ? '1' : '0');
    if (last.size() > rule.last) last.erase(0, last.size() - rule.last);
  }
  if (rule.within.count() == 0) return;
  const std::int64_t number = slice_of(rule, now);
  if (slices.empty() || slices.back().number < number) slices.push_back({.number = number});
  ++slices.back().finished;
  slices.back().failed += has_failed ? 1 : 0;
  std::erase_if(slices, [number](const Slice& slice) { return slice.number + StopRule::kSlices < number; });
}

bool must_stop(const StopRule& rule, const Outcomes& outcomes, WallTime now) {
  if (rule.is_off()) return false;
  const Tally seen = tally(rule, outcomes, now);
  if (rule.failures > 0 && seen.failed >= rule.failures) return true;
  return rule.percent > 0 && seen.failed > 0 && seen.finished >= rule.sample_min &&
         seen.failed * 100 >= seen.finished * rule.percent;
}

std::string_view to_string(RunState state) {
  switch (state) {
    case RunState::running:
      return "running";
    case RunState::paused:
      return "paused";
    case RunState::stopped:
      return "stopped";
  }
  return "unknown";
}

Opened opened_phases(const Plan& plan, const PlanProgress& progress, WallTime now) {
  if (plan.phases.empty()) return {};
  std::uint32_t devices = 0;
  for (std::size_t i = 0; i < plan.phases.size(); ++i) {
    const Phase& phase = plan.phases[i];
    if (!has_begun(phase, i == 0, devices, progress, now)) return {.devices = devices, .next = &phase};
    devices += phase.size;
  }
  return {};
}

std::optional<Hold> hold_of(const Plan& plan, const PlanProgress& progress, Attempt attempt, WallTime now,
                            std::chrono::seconds utc_offset) {
  if (progress.state == RunState::stopped) return Hold{Reason::stopped_by_failures, {}};
  if (progress.state == RunState::paused) return Hold{Reason::paused, {}};
  if (attempt == Attempt::first) {
    const Opened opened = opened_phases(plan, progress, now);
    if (opened.devices && progress.started >= *opened.devices) {
      return Hold{Reason::phase_not_begun, opened.next->waits_for_resume ? std::nullopt : opened.next->start};
    }
  }
  if (const auto opens = plan.windows.next_open(now, utc_offset)) return Hold{Reason::window_closed, opens};
  if (plan.concurrent > 0 && progress.running >= plan.concurrent) {
    return Hold{Reason::no_concurrent_left, {}};
  }
  if (plan.concurrent_per_site > 0 && progress.running_at_site >= plan.concurrent_per_site) {
    return Hold{Reason::no_concurrent_at_site, {}};
  }
  return std::nullopt;
}

}  // namespace postern::rollout
