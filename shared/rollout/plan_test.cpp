#include "shared/rollout/plan.hpp"

#include "shared/rollout/select.hpp"

namespace postern::rollout {
namespace {

using namespace std::chrono_literals;

/// 2026-01-05 is a Monday.
WallTime at(const std::string& time, const std::string& day = "2026-01-05") {
  return *from_rfc3339(day + "T" + time + ":00Z");
}
const WallTime kNoon = at("12:00");

std::optional<Reason> held(const Plan& plan, const PlanProgress& progress, WallTime now = kNoon,
                           Attempt attempt = Attempt::first) {
  const auto hold = hold_of(plan, progress, attempt, now, 0s);
  return hold ? std::optional(hold->reason) : std::nullopt;
}

Windows windows(const std::vector<std::string>& texts) {
  return Windows::parse(texts).value();
}

TEST(Windows, AreOpenWhenTheirDaysAndTimesSaySo) {
  struct Row {
    const char* text;
    const char* day;
    const char* time;
    bool is_open;
  };
  const Row rows[] = {
      {"Mon-Fri 22:00-05:00", "2026-01-05", "21:59", false},
      {"Mon-Fri 22:00-05:00", "2026-01-05", "22:00", true},
      {"Mon-Fri 22:00-05:00", "2026-01-05", "04:59", false},
      {"Mon-Fri 22:00-05:00", "2026-01-10", "04:59", true},
      {"Mon-Fri 22:00-05:00", "2026-01-10", "05:00", false},
      {"Mon-Fri 22:00-05:00", "2026-01-10", "22:30", false},
      {"Sun 23:00-01:00", "2026-01-05", "00:30", true},
      {"Sat,Sun", "2026-01-11", "23:59", true},
      {"Sat,Sun", "2026-01-05", "00:00", false},
      {"01:00-02:00,12:00-13:00", "2026-01-07", "12:59", true},
      {"Sat-Mon 00:00-24:00", "2026-01-05", "12:00", true},
      {"Sat-Mon 00:00-24:00", "2026-01-06", "00:00", false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(windows({row.text}).is_open(at(row.time, row.day), 0s), row.is_open)
        << row.text << " " << row.day << " " << row.time;
  }
}

TEST(Windows, OpenByTheClockOnTheWall) {
  EXPECT_TRUE(windows({"22:00-23:00"}).is_open(at("20:30"), 2h));
  EXPECT_EQ(windows({"22:00-23:00"}).next_open(at("19:30"), 2h), at("20:00"));
}

TEST(Windows, SayWhenTheyOpenNext) {
  EXPECT_EQ(windows({"Sat", "Wed 03:00-04:00"}).next_open(kNoon, 0s), at("03:00", "2026-01-07"));
  EXPECT_EQ(windows({"Mon 11:00-12:00"}).next_open(kNoon, 0s), at("11:00", "2026-01-12"));
  EXPECT_EQ(windows({"Mon"}).next_open(kNoon, 0s), std::nullopt);
}

TEST(Windows, RefuseWhatIsNoWindow) {
  for (const char* text : {"", "Mo", "Mon-", "25:00-26:00", "10:00", "10:00-10:00", "24:00-01:00",
                           "Mon  10:00-11:00", "10:60-11:00", "Mon 10:00-11:00 off"}) {
    EXPECT_FALSE(Windows::parse({text})) << text;
  }
}

TEST(Phases, ArePercentagesRoundedDownAndTheRest) {
  std::vector<Phase> phases{{.percent = 10}, {.percent = 50, .start = kNoon}, {}};
  ASSERT_TRUE(size_phases(phases, 25));
  EXPECT_EQ(phases[0].size, 2U);
  EXPECT_EQ(phases[1].size, 12U);
  EXPECT_EQ(phases[2].size, 11U);
}

TEST(Phases, MayNotBeEmpty) {
  std::vector<Phase> phases{{.percent = 10}, {}};
  EXPECT_EQ(size_phases(phases, 9).error().what,
            "Attempt to create a batch with zero devices not allowed. Batch: (1) will be empty");
  std::vector<Phase> last{{.percent = 50}, {.percent = 50}, {}};
  EXPECT_EQ(size_phases(last, 10).error().what,
            "Attempt to create a batch with zero devices not allowed. Batch: (3) will be empty");
}

TEST(Phases, StartInOrderAndHaveNoMoreThanAll) {
  std::vector<Phase> order{{.percent = 10, .start = kNoon}, {.start = kNoon - 1h}};
  EXPECT_FALSE(size_phases(order, 100));
  std::vector<Phase> much{{.percent = 60}, {.percent = 50}};
  EXPECT_FALSE(size_phases(much, 100));
}

TEST(Hold, APhaseEndsWhereTheNextHasNotBegun) {
  const Plan plan{.phases = {{.size = 2}, {.size = 3, .start = kNoon + 1h}, {.size = 5}}};
  EXPECT_EQ(held(plan, {.started = 1}), std::nullopt);
  EXPECT_EQ(hold_of(plan, {.started = 2}, Attempt::first, kNoon, 0s),
            (Hold{Reason::phase_not_begun, kNoon + 1h}));
  EXPECT_EQ(held(plan, {.started = 2}, kNoon + 1h), std::nullopt);
  EXPECT_EQ(held(plan, {.started = 5, .finished = 4}, kNoon + 1h), Reason::phase_not_begun);
  EXPECT_EQ(held(plan, {.started = 5, .finished = 5}, kNoon + 1h), std::nullopt);
  EXPECT_EQ(held(plan, {.started = 50, .finished = 5}, kNoon + 1h), std::nullopt);  // the last takes the rest
}

TEST(Hold, APausedPhaseWaitsForAnOperator) {
  const Plan plan{.phases = {{.size = 1}, {.size = 1, .start = kNoon - 1h, .waits_for_resume = true}}};
  EXPECT_EQ(hold_of(plan, {.started = 1}, Attempt::first, kNoon, 0s), (Hold{Reason::phase_not_begun, {}}));
}

TEST(Hold, ARetryIsNotCountedInItsPhaseAgain) {
  const Plan plan{.phases = {{.size = 1}, {.start = kNoon + 1h}}, .concurrent = 1};
  EXPECT_EQ(held(plan, {.started = 1}, kNoon, Attempt::retry), std::nullopt);
  EXPECT_EQ(held(plan, {.started = 1, .running = 1}, kNoon, Attempt::retry), Reason::no_concurrent_left);
}

TEST(Hold, EveryRuleHoldsForItself) {
  EXPECT_EQ(held({}, {}), std::nullopt);
  EXPECT_EQ(held({}, {.state = RunState::paused}), Reason::paused);
  EXPECT_EQ(held({}, {.state = RunState::stopped}), Reason::stopped_by_failures);
  EXPECT_EQ(held({.concurrent = 3}, {.running = 2}), std::nullopt);
  EXPECT_EQ(held({.concurrent = 3}, {.running = 3}), Reason::no_concurrent_left);
  EXPECT_EQ(held({.concurrent_per_site = 1}, {.running = 9}), std::nullopt);
  EXPECT_EQ(held({.concurrent_per_site = 1}, {.running_at_site = 1}), Reason::no_concurrent_at_site);
  EXPECT_EQ(held({.windows = windows({"Tue"})}, {}), Reason::window_closed);
  EXPECT_EQ(held({.windows = windows({"Mon"})}, {}), std::nullopt);
}

/// 'f' failed, '.' did well, 'm' a minute goes by; returns how many outcomes it took to stop, 0 for never.
std::size_t stops_after(const StopRule& rule, std::string_view story) {
  Outcomes outcomes;
  WallTime now = kNoon;
  std::size_t count = 0;
  for (const char c : story) {
    if (c == 'm') {
      now += 1min;
      continue;
    }
    ++count;
    outcomes.add(rule, c == 'f', now);
    if (must_stop(rule, outcomes, now)) return count;
  }
  return 0;
}

TEST(StopRule, StopsWhereItSays) {
  struct Row {
    StopRule rule;
    const char* story;
    std::size_t stops_after;
  };
  const Row rows[] = {
      {{}, "ffffffff", 0},
      {{.failures = 2}, "f...f", 5},
      {{.failures = 2}, "f....", 0},
      {{.percent = 50, .sample_min = 4}, "ff.f", 4},
      {{.percent = 50, .sample_min = 4}, "f..f", 4},
      {{.percent = 50, .sample_min = 4}, "f...f", 0},
      {{.failures = 2, .last = 3}, "f..f..f", 0},
      {{.failures = 2, .last = 3}, "f..f.f", 6},
      {{.failures = 2, .within = 5min}, "fmmmmmmmf", 0},
      {{.failures = 2, .within = 5min}, "fmmmf", 2},
      {{.percent = 100, .last = 2, .sample_min = 2}, ".fff", 3},
  };
  for (const Row& row : rows) EXPECT_EQ(stops_after(row.rule, row.story), row.stops_after) << row.story;
}

TEST(StopRule, KeepsNoMoreThanItLooksAt) {
  const StopRule rule{.failures = 5000, .last = 10, .within = 1h};
  Outcomes outcomes;
  for (int i = 0; i < 10000; ++i) outcomes.add(rule, i % 7 == 0, kNoon + std::chrono::seconds(i));
  EXPECT_EQ(outcomes.last.size(), 10U);
  EXPECT_LE(outcomes.slices.size(), StopRule::kSlices + 1);
  EXPECT_EQ(outcomes.finished, 10000U);
}

TEST(Retry, IsGivenAsOftenAsOrdered) {
  EXPECT_FALSE(may_retry({}, 1));
  EXPECT_TRUE(may_retry({.retries = 2}, 2));
  EXPECT_FALSE(may_retry({.retries = 2}, 3));
}

const Device kDevice{.device_type = "pi4", .artifact_name = "v1", .provides = {{"rootfs", "v1"}}};

Candidate candidate() {
  return {.deployment_id = "d",
          .order = 1,
          .is_target = true,
          .artifacts = {{.id = "a", .name = "v2", .device_types = {"pi4"}}}};
}

TEST(SelectWithAPlan, AHeldDeploymentBeginsForNobody) {
  Candidate held = candidate();
  held.hold = Hold{Reason::window_closed, kNoon};
  const auto selection = select({.device = kDevice}, std::vector{held}, {}, Explain::yes);
  EXPECT_EQ(selection.decision, Decision(Nothing{Reason::window_closed, "d"}));
  EXPECT_EQ(selection.considered.at(0).text,
            "The maintenance window is closed; it opens at 2026-01-05T12:00:00.000Z.");
}

TEST(SelectWithAPlan, AHoldDoesNotTakeAwayWhatHasBegun) {
  Candidate begun = candidate();
  begun.hold = Hold{Reason::paused, {}};
  begun.device_deployment = DeviceDeployment{.status = DeviceStatus::installing, .artifact_id = "a"};
  EXPECT_EQ(select({.device = kDevice}, std::vector{begun}, {}).decision, Decision(Offer{"d", "a"}));
}

TEST(SelectWithAPlan, ARetryBeginsAgainUnlessItIsHeld) {
  Candidate failed = candidate();
  failed.device_deployment =
      DeviceDeployment{.status = DeviceStatus::pending, .artifact_id = "a", .waits_for_retry = true};
  EXPECT_EQ(select({.device = kDevice}, std::vector{failed}, {}).decision,
            Decision(Offer{.deployment_id = "d", .artifact_id = "a", .is_retry = true}));
  EXPECT_EQ(select({.device = kDevice}, std::vector{failed}, {.concurrent = 0}).decision,
            Decision(Nothing{Reason::no_concurrent_left, "d"}));
  failed.hold = Hold{Reason::paused, {}};
  EXPECT_EQ(select({.device = kDevice}, std::vector{failed}, {}).decision,
            Decision(Nothing{Reason::paused, "d"}));
}

TEST(UnmetDepends, NamesWhatIsMissing) {
  ArtifactChoice artifact{.id = "a",
                          .depends = {{"rootfs", {"v0", "v2"}}, {"artifact_name", {"v1"}}, {"board", {"b"}}}};
  EXPECT_EQ(unmet_depends(artifact, kDevice),
            (std::vector<std::string>{"board is one of b; the device says nothing",
                                      "rootfs is one of v0, v2; the device says v1"}));
}

}  // namespace
}  // namespace postern::rollout
