#include "cloud/store/convert_rollout.hpp"

namespace postern::cloud {
namespace {

std::int64_t to_ms(const std::optional<WallTime>& time) {
  return time ? time->time_since_epoch().count() : 0;
}
std::optional<WallTime> to_time(std::int64_t ms) {
  return ms == 0 ? std::nullopt : std::optional(WallTime(std::chrono::milliseconds(ms)));
}

void put_plan(const rollout::Plan& plan, record::RolloutPlan& record) {
  for (const rollout::Phase& phase : plan.phases) {
    record::RolloutPhase& stored = *record.add_phases();
    stored.set_id(phase.id);
    stored.set_percent(phase.percent);
    stored.set_size(phase.size);
    stored.set_start_ms(to_ms(phase.start));
    stored.set_waits_for_resume(phase.waits_for_resume);
  }
  record.set_stop_failures(plan.stop.failures);
  record.set_stop_percent(plan.stop.percent);
  record.set_stop_last(plan.stop.last);
  record.set_stop_within_seconds(plan.stop.within.count());
  record.set_stop_sample_min(plan.stop.sample_min);
  record.mutable_windows()->Assign(plan.windows.texts().begin(), plan.windows.texts().end());
  record.set_concurrent(plan.concurrent);
  record.set_concurrent_per_site(plan.concurrent_per_site);
  record.set_retries(plan.retries);
  record.set_max_devices(plan.max_devices);
}

rollout::Plan take_plan(const record::RolloutPlan& record) {
  rollout::Plan plan;
  for (const record::RolloutPhase& phase : record.phases()) {
    plan.phases.push_back({.id = phase.id(),
                           .percent = phase.percent(),
                           .size = phase.size(),
                           .start = to_time(phase.start_ms()),
                           .waits_for_resume = phase.waits_for_resume()});
  }
  plan.stop = {.failures = record.stop_failures(),
               .percent = record.stop_percent(),
               .last = record.stop_last(),
               .within = std::chrono::seconds(record.stop_within_seconds()),
               .sample_min = record.stop_sample_min()};
  if (record.windows_size() > 0) {
    // They were read once before they were stored.
    plan.windows = rollout::Windows::parse({record.windows().begin(), record.windows().end()}).value();
  }
  plan.concurrent = record.concurrent();
  plan.concurrent_per_site = record.concurrent_per_site();
  plan.retries = record.retries();
  plan.max_devices = record.max_devices();
  return plan;
}

}  // namespace

void put_rollout(const Deployment& deployment, record::Rollout& record) {
  if (deployment.plan != rollout::Plan{}) put_plan(deployment.plan, *record.mutable_plan());
  record.set_state(static_cast<std::uint32_t>(deployment.state));
  record.set_state_since_ms(to_ms(deployment.state_since));
  record.set_site(deployment.site);
  record.set_filter_id(deployment.filter_id);
  record.set_filter_json(deployment.filter_json);
  record.set_stuck_after_seconds(deployment.stuck_after.count());
  record.set_initial_count(deployment.initial_count);
}

void take_rollout(const record::Rollout& record, Deployment& deployment) {
  if (record.has_plan()) deployment.plan = take_plan(record.plan());
  deployment.state = static_cast<rollout::RunState>(record.state());
  deployment.state_since = to_time(record.state_since_ms());
  deployment.site = record.site();
  deployment.filter_id = record.filter_id();
  deployment.filter_json = record.filter_json();
  deployment.stuck_after = std::chrono::seconds(record.stuck_after_seconds());
  deployment.initial_count = record.initial_count();
}

void put_rollout(const DeploymentCounts& counts, record::RolloutCounts& record) {
  record.set_running(counts.running);
  record.mutable_running_at()->insert(counts.running_at.begin(), counts.running_at.end());
  record.set_finished(counts.outcomes.finished);
  record.set_failed(counts.outcomes.failed);
  record.set_last(counts.outcomes.last);
  for (const rollout::Outcomes::Slice& slice : counts.outcomes.slices) {
    record::RolloutSlice& stored = *record.add_slices();
    stored.set_number(slice.number);
    stored.set_finished(slice.finished);
    stored.set_failed(slice.failed);
  }
}

void take_rollout(const record::RolloutCounts& record, DeploymentCounts& counts) {
  counts.running = record.running();
  counts.running_at = {record.running_at().begin(), record.running_at().end()};
  counts.outcomes = {
      .finished = record.finished(), .failed = record.failed(), .last = record.last(), .slices = {}};
  for (const record::RolloutSlice& slice : record.slices()) {
    counts.outcomes.slices.push_back(
        {.number = slice.number(), .finished = slice.finished(), .failed = slice.failed()});
  }
}

}  // namespace postern::cloud
