#include "shared/rollout/select.hpp"

#include <random>

namespace postern::rollout {
namespace {

const Device kDevice{
    .device_type = "pi4", .artifact_name = "v1", .provides = {{"rootfs-image.version", "v1"}}};
const Query kQuery{.device = kDevice};

ArtifactChoice artifact(std::string id, std::uint64_t size_bytes = 100,
                        std::vector<std::string> types = {"pi4"}) {
  return {.id = std::move(id), .name = "v2", .device_types = std::move(types), .size_bytes = size_bytes};
}

/// A deployment of v2 that has the device on its list.
Candidate deployment(std::string id, std::uint64_t order) {
  return {.deployment_id = std::move(id), .order = order, .is_target = true, .artifacts = {artifact("a")}};
}

Candidate with_status(Candidate candidate, DeviceStatus status) {
  candidate.device_deployment =
      DeviceDeployment{.status = status, .request = kDevice, .artifact_id = candidate.artifacts.front().id};
  return candidate;
}

Decision decide(const std::vector<Candidate>& candidates, const Budget& budget = {},
                const Query& query = kQuery) {
  return select(query, candidates, budget).decision;
}

Reason reason_of(const std::vector<Candidate>& candidates, const std::string& id, const Budget& budget = {},
                 const Query& query = kQuery) {
  for (const Considered& considered : select(query, candidates, budget, Explain::yes).considered) {
    if (considered.deployment_id == id) return considered.reason;
  }
  ADD_FAILURE() << id << " was not considered";
  return Reason::no_deployment;
}

TEST(Select, GivesNothingWithoutDeployments) {
  EXPECT_EQ(decide({}), Decision(Nothing{Reason::no_deployment, ""}));
}

TEST(Select, BeginsTheOldestDeploymentThatTargetsTheDevice) {
  Candidate other = deployment("d1", 1);
  other.is_target = false;
  Candidate over = deployment("d2", 2);
  over.is_finished = true;
  EXPECT_EQ(decide({deployment("d4", 4), over, deployment("d3", 3), other}),
            Decision(Offer{"d3", "a", true, true}));
}

TEST(Select, ContinuesAnActiveDeploymentBeforeAnOlderOne) {
  for (const DeviceStatus status : {DeviceStatus::pending, DeviceStatus::downloading, DeviceStatus::rebooting,
                                    DeviceStatus::pause_before_committing}) {
    EXPECT_EQ(decide({deployment("d1", 1), with_status(deployment("d2", 2), status)}),
              Decision(Offer{"d2", "a", false, false}));
  }
}

TEST(Select, ContinuesTheOldestOfTwoActiveDeployments) {
  EXPECT_EQ(decide({with_status(deployment("d2", 2), DeviceStatus::installing),
                    with_status(deployment("d1", 1), DeviceStatus::installing)}),
            Decision(Offer{"d1", "a", false, false}));
}

TEST(Select, NeverBeginsADeploymentOlderThanTheLastFinishedOne) {
  for (const DeviceStatus status :
       {DeviceStatus::success, DeviceStatus::failure, DeviceStatus::already_installed,
        DeviceStatus::noartifact, DeviceStatus::aborted, DeviceStatus::decommissioned}) {
    EXPECT_EQ(decide({deployment("d1", 1), with_status(deployment("d2", 2), status)}),
              Decision(Nothing{Reason::no_deployment, ""}));
  }
  EXPECT_EQ(decide({deployment("d1", 1), with_status(deployment("d2", 2), DeviceStatus::success),
                    deployment("d3", 3)}),
            Decision(Offer{"d3", "a", true, true}));
}

TEST(Select, TakesTheLastFinishedDeploymentFromTheQueryToo) {
  const Query query{.device = kDevice, .last_finished = 5};
  EXPECT_EQ(decide({deployment("d5", 5), deployment("d6", 6)}, {}, query),
            Decision(Offer{"d6", "a", true, true}));
}

TEST(Select, PassesOverADeploymentThatHasAllItsDevices) {
  Candidate full = deployment("d1", 1);
  full.max_devices = 3;
  full.device_deployment_count = 3;
  EXPECT_EQ(decide({full}), Decision(Nothing{Reason::no_deployment, ""}));
  EXPECT_EQ(decide({full, deployment("d2", 2)}), Decision(Offer{"d2", "a", true, true}));
  EXPECT_EQ(decide({with_status(full, DeviceStatus::installing)}), Decision(Offer{"d1", "a", false, false}))
      << "its own record is one of the three";
}

TEST(Select, RefusesADeviceThatChangesItsReportOnTheWay) {
  Candidate begun = with_status(deployment("d1", 1), DeviceStatus::downloading);
  for (const Device& changed : {Device{"pi5", "v1", kDevice.provides}, Device{"pi4", "v0", kDevice.provides},
                                Device{"pi4", "v1", {}}}) {
    EXPECT_EQ(decide({begun}, {}, {.device = changed}), Decision(Conflict{"d1"}));
  }
  begun.device_deployment->request.reset();
  EXPECT_EQ(decide({begun}, {}, {.device = {"pi4", "v0", {}}}), Decision(Offer{"d1", "a", false, false}));
}

TEST(Select, AssignsTheSmallestArtifactForTheDeviceType) {
  Candidate candidate = deployment("d1", 1);
  candidate.artifacts = {artifact("large", 300), artifact("tiny", 10, {"pi3"}),
                         artifact("b", 200, {"pi3", "pi4"}), artifact("c", 200)};
  EXPECT_EQ(decide({candidate}), Decision(Offer{"d1", "b", true, true}));
}

TEST(Select, KeepsAnAssignedArtifactWhenASmallerOneJoins) {
  Candidate candidate = with_status(deployment("d1", 1), DeviceStatus::pending);
  candidate.artifacts.push_back(artifact("smaller", 1));
  EXPECT_EQ(decide({candidate}), Decision(Offer{"d1", "a", false, false}));
}

TEST(Select, IgnoresDependsOtherThanTheDeviceType) {
  Candidate candidate = deployment("d1", 1);
  candidate.artifacts.front().depends = {{"artifact_name", {"v0"}}, {"rootfs-image.checksum", {"x"}}};
  EXPECT_EQ(decide({candidate}), Decision(Offer{"d1", "a", true, true}));
}

TEST(Select, EndsADeploymentThatHasNoArtifactForTheDevice) {
  Candidate candidate = deployment("d1", 1);
  candidate.artifacts = {artifact("a", 100, {"pi3"})};
  EXPECT_EQ(decide({candidate, deployment("d2", 2)}), Decision(NoArtifact{"d1", true}))
      << "the next deployment has to wait for the next poll";
}

TEST(Select, WaitsWhenTheAssignedArtifactHasVanished) {
  Candidate candidate = with_status(deployment("d1", 1), DeviceStatus::pending);
  candidate.artifacts = {artifact("other")};
  EXPECT_EQ(decide({candidate}), Decision(Nothing{Reason::assigned_artifact_missing, "d1"}));
}

TEST(Select, EndsADeploymentOfWhatIsInstalledAlready) {
  const Query query{.device = {"pi4", "v2", {}}};
  EXPECT_EQ(decide({deployment("d1", 1)}, {}, query), Decision(AlreadyInstalled{"d1", "a", true, true}));
}

TEST(Select, InstallsWhatIsInstalledAlreadyWhenForced) {
  Candidate candidate = deployment("d1", 1);
  candidate.force_installation = true;
  EXPECT_EQ(decide({candidate}, {}, {.device = {"pi4", "v2", {}}}), Decision(Offer{"d1", "a", true, true}));
}

TEST(Select, OffersAgainWhatHasBegunEvenIfTheNameIsTheSame) {
  const Device device{"pi4", "v2", {}};
  Candidate candidate = with_status(deployment("d1", 1), DeviceStatus::installing);
  candidate.device_deployment->request = device;
  EXPECT_EQ(decide({candidate}, {}, {.device = device}), Decision(Offer{"d1", "a", false, false}));
  candidate.device_deployment->status = DeviceStatus::pending;
  EXPECT_EQ(decide({candidate}, {}, {.device = device}), Decision(AlreadyInstalled{"d1", "a", false, false}));
}

TEST(Select, TellsTheDeviceToComeBackWhileTheArtifactCannotBeServed) {
  Candidate candidate = deployment("d1", 1);
  candidate.artifacts = {artifact("small", 1), artifact("large", 2)};
  candidate.artifacts.front().is_servable = false;
  EXPECT_EQ(decide({candidate}), Decision(Nothing{Reason::not_servable, "d1"}))
      << "a larger artifact would be assigned for good";
  EXPECT_EQ(decide({with_status(candidate, DeviceStatus::downloading)}),
            Decision(Nothing{Reason::not_servable, "d1"}));
}

TEST(Select, OffersAConfigurationWithoutAnArtifact) {
  Candidate candidate = deployment("d1", 1);
  candidate.is_configuration = true;
  candidate.artifacts.clear();
  EXPECT_EQ(decide({candidate}), Decision(Offer{"d1", "", true, false}));
}

TEST(Budget, HoldsBackNewUpdatesWhenAnyPartIsUsedUp) {
  EXPECT_EQ(decide({deployment("d1", 1)}, {.starts = 0}), Decision(Nothing{Reason::no_starts_left, "d1"}));
  EXPECT_EQ(decide({deployment("d1", 1)}, {.concurrent = 0}),
            Decision(Nothing{Reason::no_concurrent_left, "d1"}));
  EXPECT_EQ(decide({deployment("d1", 1)}, {.failures = 0}),
            Decision(Nothing{Reason::no_failures_left, "d1"}));
  EXPECT_EQ(decide({deployment("d1", 1)}, {.starts = 1, .concurrent = 1, .failures = 1}),
            Decision(Offer{"d1", "a", true, true}));
}

TEST(Budget, HoldsBackConfigurationsAsWell) {
  Candidate candidate = deployment("d1", 1);
  candidate.is_configuration = true;
  EXPECT_EQ(decide({candidate}, {.starts = 0}), Decision(Nothing{Reason::no_starts_left, "d1"}));
}

TEST(Budget, NeverStopsAnUpdateThatHasBegun) {
  const Budget nothing_left{.starts = 0, .concurrent = 0, .failures = 0};
  EXPECT_EQ(decide({with_status(deployment("d1", 1), DeviceStatus::pending)}, nothing_left),
            Decision(Offer{"d1", "a", false, false}));
}

TEST(Budget, IsNotNeededToEndADeploymentThatHasNothingToInstall) {
  EXPECT_EQ(decide({deployment("d1", 1)}, {.starts = 0}, {.device = {"pi4", "v2", {}}}),
            Decision(AlreadyInstalled{"d1", "a", true, true}));
  EXPECT_EQ(decide({deployment("d1", 1)}, {.starts = 0}, {.device = {"pi9", "v1", {}}}),
            Decision(NoArtifact{"d1", true}));
}

TEST(Explain, NamesTheReasonOfEveryDeploymentOldestFirst) {
  Candidate untargeted = deployment("untargeted", 4);
  untargeted.is_target = false;
  Candidate over = deployment("over", 5);
  over.is_finished = true;
  Candidate full = deployment("full", 6);
  full.max_devices = 1;
  full.device_deployment_count = 1;
  const std::vector<Candidate> candidates{deployment("next", 8),
                                          deployment("given", 7),
                                          full,
                                          over,
                                          untargeted,
                                          with_status(deployment("failed", 3), DeviceStatus::failure),
                                          deployment("old", 1),
                                          with_status(deployment("done", 2), DeviceStatus::success)};
  const std::vector<std::pair<std::string, Reason>> expected{{"old", Reason::older_than_last_finished},
                                                             {"done", Reason::ended_for_device},
                                                             {"failed", Reason::ended_for_device},
                                                             {"untargeted", Reason::not_targeted},
                                                             {"over", Reason::finished},
                                                             {"full", Reason::device_limit_reached},
                                                             {"given", Reason::offered},
                                                             {"next", Reason::behind_another}};
  std::vector<std::pair<std::string, Reason>> reasons;
  for (const Considered& one : select(kQuery, candidates, {}, Explain::yes).considered) {
    reasons.emplace_back(one.deployment_id, one.reason);
  }
  EXPECT_EQ(reasons, expected);
}

TEST(Explain, SaysWhatEndedTheDeployment) {
  const auto selection =
      select(kQuery, std::vector{with_status(deployment("d1", 1), DeviceStatus::aborted)}, {}, Explain::yes);
  ASSERT_EQ(selection.considered.size(), 1U);
  EXPECT_THAT(selection.considered.front().text, ::testing::HasSubstr("aborted"));
}

TEST(Explain, SaysWhyTheChosenDeploymentHasToWait) {
  Candidate hidden = deployment("d1", 1);
  hidden.artifacts.front().is_servable = false;
  EXPECT_EQ(reason_of({hidden}, "d1"), Reason::not_servable);
  EXPECT_EQ(reason_of({deployment("d1", 1)}, "d1", {.concurrent = 0}), Reason::no_concurrent_left);
  EXPECT_EQ(reason_of({deployment("d1", 1)}, "d1", {}, {.device = {"pi4", "v2", {}}}),
            Reason::already_installed);
  EXPECT_EQ(reason_of({deployment("d1", 1)}, "d1", {}, {.device = {"pi9", "v1", {}}}),
            Reason::no_compatible_artifact);
  EXPECT_EQ(reason_of({with_status(deployment("d1", 1), DeviceStatus::pending)}, "d1", {},
                      {.device = {"pi9", "v1", {}}}),
            Reason::conflicting_request);
}

TEST(Reason, HasAWordOfItsOwn) {
  std::map<std::string_view, int> words;
  for (int i = 0; i <= static_cast<int>(Reason::no_deployment); ++i)
    ++words[to_string(static_cast<Reason>(i))];
  EXPECT_EQ(words.size(), static_cast<std::size_t>(Reason::no_deployment) + 1);
  EXPECT_FALSE(words.contains("unknown"));
}

/// Random worlds, small enough that all interesting coincidences are frequent.
class World {
 public:
  explicit World(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(engine_() % bound); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

  Device device() { return {"type" + std::to_string(below(3)), "v" + std::to_string(below(4)), {}}; }

  Budget budget() {
    const auto part = [this]() -> std::optional<std::uint32_t> {
      if (one_in(2)) return std::nullopt;
      return below(3);
    };
    return {part(), part(), part()};
  }

  Candidate candidate(std::uint64_t order, const Device& device) {
    Candidate out{.deployment_id = "d" + std::to_string(order), .order = order};
    out.is_finished = one_in(5);
    out.is_target = !one_in(4);
    out.is_configuration = one_in(8);
    out.force_installation = one_in(4);
    out.max_devices = one_in(2) ? 0 : 1 + below(3);
    out.device_deployment_count = below(4);
    const std::string name = "v" + std::to_string(below(4));
    for (std::uint32_t i = below(4); i > 0; --i) {
      out.artifacts.push_back({.id = "a" + std::to_string(i),
                               .name = name,
                               .device_types = {"type" + std::to_string(below(3))},
                               .size_bytes = below(3),
                               .is_servable = !one_in(4)});
    }
    if (one_in(4)) {
      out.device_deployment =
          DeviceDeployment{.status = static_cast<DeviceStatus>(below(kDeviceStatusCount))};
      if (!one_in(4)) out.device_deployment->request = one_in(6) ? this->device() : device;
    }
    return out;
  }

  std::vector<Candidate> candidates(const Device& device) {
    std::vector<Candidate> out;
    const std::uint32_t count = below(6);
    for (std::uint32_t i = 1; i <= count; ++i) out.push_back(candidate(i, device));
    return out;
  }

  void shuffle(std::vector<Candidate>& candidates) { std::ranges::shuffle(candidates, engine_); }

 private:
  std::mt19937 engine_;
};

const Candidate* by_id(const std::vector<Candidate>& candidates, const std::string& id) {
  const auto found = std::ranges::find(candidates, id, &Candidate::deployment_id);
  return found == candidates.end() ? nullptr : &*found;
}

const ArtifactChoice* by_id(const std::vector<ArtifactChoice>& artifacts, const std::string& id) {
  const auto found = std::ranges::find(artifacts, id, &ArtifactChoice::id);
  return found == artifacts.end() ? nullptr : &*found;
}

const std::string& deployment_of(const Decision& decision) {
  return std::visit([](const auto& one) -> const std::string& { return one.deployment_id; }, decision);
}

void expect_sound_offer(const Offer& offer, const std::vector<Candidate>& candidates, const Device& device,
                        const Budget& budget) {
  const Candidate* candidate = by_id(candidates, offer.deployment_id);
  ASSERT_NE(candidate, nullptr);
  EXPECT_EQ(offer.is_new, !candidate->device_deployment.has_value());
  if (offer.is_new) {
    EXPECT_TRUE(budget.starts != 0U && budget.concurrent != 0U && budget.failures != 0U);
    EXPECT_TRUE(candidate->is_target && !candidate->is_finished);
    for (const Candidate& other : candidates) {
      if (other.device_deployment) EXPECT_LT(other.order, candidate->order);
    }
  }
  if (candidate->is_configuration) return;
  const ArtifactChoice* artifact = by_id(candidate->artifacts, offer.artifact_id);
  ASSERT_NE(artifact, nullptr);
  EXPECT_TRUE(artifact->is_servable);
  EXPECT_EQ(artifact->device_types, std::vector{device.device_type});
}

TEST(SelectProperty, HoldsInTenThousandRandomWorlds) {
  std::map<std::size_t, int> kinds;
  for (std::uint32_t seed = 0; seed < 10'000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    const Device device = world.device();
    auto candidates = world.candidates(device);
    const Budget budget = world.budget();
    const auto active = std::ranges::find_if(candidates, [](const Candidate& c) {
      return c.device_deployment && is_active(c.device_deployment->status);
    });

    const Selection selection = select({.device = device}, candidates, budget, Explain::yes);
    ++kinds[selection.decision.index()];
    if (active != candidates.end()) EXPECT_EQ(deployment_of(selection.decision), active->deployment_id);
    if (const auto* offer = std::get_if<Offer>(&selection.decision)) {
      expect_sound_offer(*offer, candidates, device, budget);
    }
    ASSERT_EQ(selection.considered.size(), candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      EXPECT_EQ(selection.considered[i].deployment_id, candidates[i].deployment_id);
      EXPECT_TRUE(selection.considered[i].text.ends_with('.'));
    }
    world.shuffle(candidates);
    EXPECT_EQ(select({.device = device}, candidates, budget).decision, selection.decision);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<Decision>) << "some kind of decision never came up";
}

/// A fleet that polls and reports in random order under one budget, kept as a caller keeps it.
TEST(SelectProperty, NeverSpendsMoreThanTheBudgetOfASite) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    const std::uint32_t starts_max = 1 + world.below(8);
    const std::uint32_t concurrent_max = 1 + world.below(4);
    const std::uint32_t failures_max = 1 + world.below(3);
    std::uint32_t starts = 0;
    std::uint32_t concurrent = 0;
    std::uint32_t failures = 0;
    std::vector<Candidate> devices(10, deployment("d1", 1));
    for (int step = 0; step < 300; ++step) {
      Candidate& own = devices[world.below(10)];
      auto& record = own.device_deployment;
      const Budget left{starts_max - starts, concurrent_max - concurrent,
                        failures_max - std::min(failures, failures_max)};
      const bool had_begun = record && is_active(record->status);
      const auto decision = select(kQuery, std::span(&own, 1), left).decision;
      if (const auto* offer = std::get_if<Offer>(&decision); offer != nullptr && offer->is_new) {
        ASSERT_LT(failures, failures_max);
        record = DeviceDeployment{.request = kDevice, .artifact_id = offer->artifact_id};
        ++starts;
        ++concurrent;
      } else if (had_begun) {
        ASSERT_TRUE(std::holds_alternative<Offer>(decision));
        if (!world.one_in(3)) continue;
        record->status = world.one_in(4) ? DeviceStatus::failure : DeviceStatus::success;
        if (record->status == DeviceStatus::failure) ++failures;
        --concurrent;
      }
      ASSERT_LE(starts, starts_max);
      ASSERT_LE(concurrent, concurrent_max);
    }
    EXPECT_TRUE(starts == std::min(starts_max, 10U) || failures >= failures_max) << "a budget left unspent";
  }
}

}  // namespace
}  // namespace postern::rollout
