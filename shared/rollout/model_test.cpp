// Random stories of many deployments, decided by the rules and judged by a referee that counts for itself.
// The rules are a parameter, so that the referee can be shown to notice rules that are wrong.
#include <functional>
#include <map>
#include <random>
#include <set>

#include "shared/rollout/select.hpp"

namespace postern::rollout {
namespace {

using namespace std::chrono_literals;

struct Rules {
  std::function<std::optional<Hold>(const Plan&, const PlanProgress&, Attempt, WallTime)> hold =
      [](const Plan& plan, const PlanProgress& progress, Attempt attempt, WallTime now) {
        return hold_of(plan, progress, attempt, now, 0s);
      };
  std::function<bool(const StopRule&, const Outcomes&, WallTime)> stops = must_stop;
  std::function<bool(const Plan&, std::uint32_t)> retries = may_retry;
  std::function<Decision(const Query&, const std::vector<Candidate>&)> select =
      [](const Query& query, const std::vector<Candidate>& candidates) {
        return rollout::select(query, candidates, {}).decision;
      };
};

constexpr std::uint32_t kDevices = 30;
constexpr std::uint32_t kSites = 3;

/// What the story knows of a deployment; both sides read it, neither counts in it.
struct Ordered {
  Plan plan;
  bool has_night_window = false;  ///< open from 00:00 to 12:00
};

/// A device's place in a deployment, as each side keeps it.
struct Record {
  DeviceStatus status = DeviceStatus::pending;
  bool waits = false;
  std::uint32_t failed = 0;
};

/// The side under test: counters, as a server keeps them.
struct Counted {
  Statistics statistics;
  Outcomes outcomes;
  PlanProgress progress;
  std::map<std::uint32_t, std::uint32_t> at_site;
  std::map<std::uint32_t, Record> records;
  bool is_finished = false;
};

/// The other side: nothing but lists of what has happened.
struct Witnessed {
  std::vector<std::uint32_t> begun;                 ///< devices, in the order in which they began
  std::set<std::uint32_t> updating;                 ///< now
  std::map<std::uint32_t, std::uint32_t> failures;  ///< by device
  std::set<std::uint32_t> waiting;                  ///< for another attempt
  std::map<std::uint32_t, bool> ended;              ///< whether it failed
  std::vector<std::pair<WallTime, bool>> outcomes;  ///< since it was resumed last
  bool is_paused = false;
  bool is_stopped = false;
  bool is_aborted = false;
};

class Story {
 public:
  Story(Rules rules, unsigned seed) : rules_(std::move(rules)), random_(seed) {}

  /// Plays `steps` steps; what the referee saw first, or nothing.
  std::optional<std::string> play(int steps) {
    for (int i = 0; i < steps && !fault_; ++i) step();
    return fault_;
  }

 private:
  std::uint32_t pick(std::uint32_t below) {
    return std::uniform_int_distribution<std::uint32_t>(0, below - 1)(random_);
  }
  void fault(std::string what) {
    if (!fault_) fault_ = std::move(what);
  }

  void step() {
    const std::uint32_t die = pick(100);
    if (die < 3 && open_count() < 4) {
      create();
    } else if (die < 50) {
      poll(pick(kDevices));
    } else if (die < 90) {
      report(pick(kDevices));
    } else if (die < 95) {
      now_ += std::chrono::minutes(pick(120));
    } else if (!ordered_.empty()) {
      steer(pick(static_cast<std::uint32_t>(ordered_.size())), pick(40));
    }
  }

  std::size_t open_count() const {
    return static_cast<std::size_t>(std::ranges::count(counted_, false, &Counted::is_finished));
  }

  void create() {
    Ordered made;
    Plan& plan = made.plan;
    if (pick(2) == 0) {
      plan.phases = {
          {.size = 1 + pick(5)}, {.size = 1 + pick(9), .start = now_ + std::chrono::minutes(pick(600))}, {}};
      if (pick(2) == 0) plan.phases[1].start.reset();
    }
    if (pick(2) == 0) plan.concurrent = 1 + pick(4);
    if (pick(2) == 0) plan.concurrent_per_site = 1 + pick(2);
    if (pick(2) == 0) plan.retries = 1 + pick(2);
    if (pick(4) == 0) plan.max_devices = 5 + pick(20);
    if (pick(2) == 0)
      plan.stop = {.failures = pick(2) * (1 + pick(4)), .percent = 50, .last = pick(2) * 6, .sample_min = 4};
    made.has_night_window = pick(3) == 0;
    if (made.has_night_window) plan.windows = Windows::parse({"00:00-12:00"}).value();
    ordered_.push_back(made);
    counted_.emplace_back();
    counted_.back().statistics.set(DeviceStatus::pending, kDevices);
    witnessed_.emplace_back();
  }

  // What the server does.

  Candidate candidate(std::size_t d, std::uint32_t device) {
    const Counted& mine = counted_[d];
    Candidate made{.deployment_id = std::to_string(d),
                   .order = d + 1,
                   .is_finished = mine.is_finished,
                   .is_target = true,
                   .max_devices = ordered_[d].plan.max_devices,
                   .device_deployment_count = mine.progress.started,
                   .artifacts = {{.id = "a", .name = "new", .device_types = {"t"}}}};
    const auto found = mine.records.find(device);
    if (found != mine.records.end()) {
      const Record& record = found->second;
      made.device_deployment = DeviceDeployment{
          .status = mine.is_finished && is_active(record.status) ? DeviceStatus::aborted : record.status,
          .artifact_id = "a",
          .waits_for_retry = record.waits};
    }
    PlanProgress progress = mine.progress;
    progress.finished = mine.statistics.finals();
    const auto site = mine.at_site.find(device % kSites);
    progress.running_at_site = site != mine.at_site.end() ? site->second : 0;
    made.hold = rules_.hold(ordered_[d].plan, progress,
                            made.device_deployment ? Attempt::retry : Attempt::first, now_);
    return made;
  }

  void poll(std::uint32_t device) {
    std::vector<Candidate> candidates;
    for (std::size_t d = 0; d < ordered_.size(); ++d) candidates.push_back(candidate(d, device));
    const Decision decision =
        rules_.select({.device = {.device_type = "t", .artifact_name = "old", .provides = {}}}, candidates);
    const auto* offer = std::get_if<Offer>(&decision);
    const bool begins = offer != nullptr && (offer->is_new || offer->is_retry);
    judge_poll(device, begins ? std::optional(std::stoul(offer->deployment_id)) : std::nullopt);
    if (!begins) return;
    Counted& mine = counted_[std::stoul(offer->deployment_id)];
    ++mine.progress.running;
    ++mine.at_site[device % kSites];
    mine.progress.started += offer->is_new ? 1 : 0;
    mine.records[device].waits = false;  // made here by the first attempt
  }

  void report(std::uint32_t device) {
    for (std::size_t d = 0; d < ordered_.size(); ++d) {
      Counted& mine = counted_[d];
      const auto found = mine.records.find(device);
      if (mine.is_finished || found == mine.records.end()) continue;
      if (found->second.waits || is_final(found->second.status)) continue;
      const DeviceStatus said =
          std::array{DeviceStatus::installing, DeviceStatus::success, DeviceStatus::failure}[pick(3)];
      take(d, device, said);
      witness(d, device, said);
      return;
    }
  }

  void take(std::size_t d, std::uint32_t device, DeviceStatus said) {
    Counted& mine = counted_[d];
    Record& record = mine.records[device];
    if (is_final(said)) {
      --mine.progress.running;
      --mine.at_site[device % kSites];
    }
    if (said == DeviceStatus::failure && rules_.retries(ordered_[d].plan, ++record.failed)) {
      mine.statistics.move(record.status, DeviceStatus::pending);
      record = {.status = DeviceStatus::pending, .waits = true, .failed = record.failed};
      return;
    }
    mine.statistics.move(record.status, said);
    record.status = said;
    if (is_active(said)) return;
    mine.outcomes.add(ordered_[d].plan.stop, said == DeviceStatus::failure, now_);
    if (rules_.stops(ordered_[d].plan.stop, mine.outcomes, now_)) mine.progress.state = RunState::stopped;
    const std::uint32_t limit = ordered_[d].plan.max_devices > 0 ? ordered_[d].plan.max_devices : kDevices;
    mine.is_finished = mine.statistics.finals() >= limit;
  }

  void steer(std::uint32_t d, std::uint32_t die) {
    Counted& mine = counted_[d];
    Witnessed& seen = witnessed_[d];
    if (mine.is_finished) return;
    if (die == 0) {
      mine.is_finished = true;
      seen.is_aborted = true;
    } else if (die < 10) {
      mine.progress.state = RunState::paused;
      seen.is_paused = true;
      seen.is_stopped = false;
    } else {
      mine.progress.state = RunState::running;
      mine.outcomes = {};
      seen.is_paused = seen.is_stopped = false;
      seen.outcomes.clear();
    }
  }

  // What the referee thinks.

  bool is_over(std::size_t d) const {
    const std::uint32_t limit = ordered_[d].plan.max_devices > 0 ? ordered_[d].plan.max_devices : kDevices;
    return witnessed_[d].is_aborted || witnessed_[d].ended.size() >= limit;
  }

  bool phases_allow_one_more(std::size_t d) const {
    const auto& phases = ordered_[d].plan.phases;
    const std::size_t begun = witnessed_[d].begun.size();
    if (phases.empty() || begun < phases[0].size) return true;
    const auto is_due = [&](const Phase& phase, std::size_t before) {
      return phase.start ? now_ >= *phase.start : witnessed_[d].ended.size() >= before;
    };
    if (!is_due(phases[1], phases[0].size)) return false;
    return begun < phases[0].size + phases[1].size || is_due(phases[2], phases[0].size + phases[1].size);
  }

  bool may_begin(std::size_t d, std::uint32_t device) const {
    const Plan& plan = ordered_[d].plan;
    const Witnessed& seen = witnessed_[d];
    if (seen.is_paused || seen.is_stopped) return false;
    if (!seen.waiting.contains(device) && !phases_allow_one_more(d)) return false;
    if (ordered_[d].has_night_window && (now_.time_since_epoch() % 24h) >= 12h) return false;
    if (plan.concurrent > 0 && seen.updating.size() >= plan.concurrent) return false;
    const auto at_site = std::ranges::count_if(
        seen.updating, [&](std::uint32_t other) { return other % kSites == device % kSites; });
    return plan.concurrent_per_site == 0 || at_site < plan.concurrent_per_site;
  }

  /// Which deployment the device has to begin now.
  std::optional<std::size_t> expected(std::uint32_t device) const {
    std::size_t first = 0;
    for (std::size_t d = 0; d < ordered_.size(); ++d) {
      if (is_over(d) ||
          !(witnessed_[d].updating.contains(device) || witnessed_[d].waiting.contains(device))) {
        // A deployment that has ended for the device rules out all before it.
        if (std::ranges::find(witnessed_[d].begun, device) != witnessed_[d].begun.end()) first = d + 1;
        continue;
      }
      if (witnessed_[d].updating.contains(device)) return std::nullopt;
      return may_begin(d, device) ? std::optional(d) : std::nullopt;
    }
    for (std::size_t d = first; d < ordered_.size(); ++d) {
      const Plan& plan = ordered_[d].plan;
      if (is_over(d)) continue;
      if (plan.max_devices > 0 && witnessed_[d].begun.size() >= plan.max_devices) continue;
      return may_begin(d, device) ? std::optional(d) : std::nullopt;
    }
    return std::nullopt;
  }

  void judge_poll(std::uint32_t device, std::optional<std::size_t> begins) {
    const auto wanted = expected(device);
    if (wanted != begins) {
      fault(fmt::format("device {} began {}, not {}", device, begins ? static_cast<int>(*begins) : -1,
                        wanted ? static_cast<int>(*wanted) : -1));
      return;
    }
    if (!begins) return;
    Witnessed& seen = witnessed_[*begins];
    if (seen.waiting.erase(device) == 0) seen.begun.push_back(device);
    seen.updating.insert(device);
  }

  void witness(std::size_t d, std::uint32_t device, DeviceStatus said) {
    Witnessed& seen = witnessed_[d];
    const StopRule& rule = ordered_[d].plan.stop;
    if (is_final(said)) {
      seen.updating.erase(device);
      const bool has_failed = said == DeviceStatus::failure;
      if (has_failed && ++seen.failures[device] <= ordered_[d].plan.retries) {
        seen.waiting.insert(device);
      } else {
        seen.ended[device] = has_failed;
        seen.outcomes.emplace_back(now_, has_failed);
        const std::size_t skip =
            rule.last > 0 && seen.outcomes.size() > rule.last ? seen.outcomes.size() - rule.last : 0;
        const std::size_t finished = seen.outcomes.size() - skip;
        const auto failed = static_cast<std::size_t>(
            std::count_if(seen.outcomes.begin() + static_cast<long>(skip), seen.outcomes.end(),
                          [](const auto& each) { return each.second; }));
        if (rule.failures > 0 && failed >= rule.failures) seen.is_stopped = true;
        if (rule.percent > 0 && failed > 0 && finished >= rule.sample_min && failed * 2 >= finished)
          seen.is_stopped = true;
      }
    }
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < kDeviceStatusCount; ++i)
      sum += counted_[d].statistics.count(static_cast<DeviceStatus>(i));
    if (sum != kDevices) fault("the statistics do not add up");
    if (counted_[d].statistics.finals() != seen.ended.size()) fault("another number of devices has ended");
    if (counted_[d].progress.running != seen.updating.size()) fault("another number of devices is updating");
  }

  Rules rules_;
  std::mt19937 random_;
  WallTime now_ = *from_rfc3339("2026-01-05T00:00:00Z");
  std::vector<Ordered> ordered_;
  std::vector<Counted> counted_;
  std::vector<Witnessed> witnessed_;
  std::optional<std::string> fault_;
};

std::optional<std::string> first_fault(const Rules& rules, int stories, int steps) {
  for (int seed = 1; seed <= stories; ++seed) {
    if (auto fault = Story(rules, static_cast<unsigned>(seed)).play(steps)) {
      return fmt::format("story {}: {}", seed, *fault);
    }
  }
  return std::nullopt;
}

TEST(Model, AHundredThousandStepsBreakNoRule) {
  EXPECT_EQ(first_fault({}, 100, 1000), std::nullopt);
}

/// Rules whose hold sees the plan and the progress that `change` has falsified.
Rules with_hold(std::function<void(Plan&, PlanProgress&, Attempt)> change) {
  Rules rules;
  rules.hold = [change = std::move(change)](Plan plan, PlanProgress progress, Attempt attempt, WallTime now) {
    change(plan, progress, attempt);
    return hold_of(plan, progress, attempt, now, 0s);
  };
  return rules;
}

TEST(Model, RulesThatAreWrongAreNoticed) {
  std::vector<std::pair<const char*, Rules>> defects;
  defects.emplace_back("one too many at once", with_hold([](Plan& plan, PlanProgress&, Attempt) {
                         plan.concurrent += plan.concurrent > 0 ? 1 : 0;
                       }));
  defects.emplace_back("no cap for a site",
                       with_hold([](Plan& plan, PlanProgress&, Attempt) { plan.concurrent_per_site = 0; }));
  defects.emplace_back("phases begin too early", with_hold([](Plan& plan, PlanProgress&, Attempt) {
                         for (Phase& phase : plan.phases) phase.start = WallTime{};
                       }));
  defects.emplace_back("phases count who has finished", with_hold([](Plan&, PlanProgress& progress, Attempt) {
                         progress.started = progress.finished;
                       }));
  defects.emplace_back("pause is ignored", with_hold([](Plan&, PlanProgress& progress, Attempt) {
                         if (progress.state == RunState::paused) progress.state = RunState::running;
                       }));
  defects.emplace_back("windows are ignored",
                       with_hold([](Plan& plan, PlanProgress&, Attempt) { plan.windows = Windows(); }));
  defects.emplace_back("a retry is held by nothing",
                       with_hold([](Plan& plan, PlanProgress& progress, Attempt attempt) {
                         if (attempt == Attempt::retry) {
                           plan = {};
                           progress = {};
                         }
                       }));
  defects.emplace_back("a retry counts in its phase again", Rules{});
  defects.back().second.hold = [](const Plan& plan, const PlanProgress& progress, Attempt, WallTime now) {
    return hold_of(plan, progress, Attempt::first, now, 0s);
  };
  defects.emplace_back("failures never stop", Rules{});
  defects.back().second.stops = [](const StopRule&, const Outcomes&, WallTime) { return false; };
  defects.emplace_back("a failure too late", Rules{});
  defects.back().second.stops = [](StopRule rule, const Outcomes& outcomes, WallTime now) {
    rule.failures += rule.failures > 0 ? 1 : 0;
    return must_stop(rule, outcomes, now);
  };
  defects.emplace_back("all outcomes count instead of the last", Rules{});
  defects.back().second.stops = [](StopRule rule, const Outcomes& outcomes, WallTime now) {
    rule.last = 0;
    return must_stop(rule, outcomes, now);
  };
  defects.emplace_back("one attempt too many", Rules{});
  defects.back().second.retries = [](const Plan& plan, std::uint32_t attempts) {
    return attempts <= plan.retries + 1;
  };
  defects.emplace_back("the youngest deployment comes first", Rules{});
  defects.back().second.select = [](const Query& query, std::vector<Candidate> candidates) {
    for (Candidate& candidate : candidates) candidate.order = 1'000'000 - candidate.order;
    return select(query, candidates, {}).decision;
  };
  ASSERT_GE(defects.size(), 10U);
  for (const auto& [name, rules] : defects) {
    EXPECT_NE(first_fault(rules, 100, 1000), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace postern::rollout
