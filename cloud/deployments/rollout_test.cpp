// Planned deployments through the public API: every rule by real polls, and the answer to why.
#include "cloud/app_fixture.hpp"

namespace postern::cloud {
namespace {

using namespace std::chrono_literals;

class RolloutTest : public CloudTest {
 protected:
  struct Fleet {
    std::vector<std::string> ids;
    std::vector<std::string> tokens;
  };

  RolloutTest() { EXPECT_EQ(upload(testing::build_artifact({.name = "new"})).status, 201); }

  Fleet fleet(std::size_t count) {
    Fleet made;
    for (std::size_t i = 0; i < count; ++i) {
      const auto [id, token] =
          accepted_device(PrivateKey::generate(KeyType::ed25519), fmt::format("00:{:02}", ++devices_));
      made.ids.push_back(id);
      made.tokens.push_back(token);
    }
    return made;
  }
  Answer create(json::object more) {
    json::object body{{"name", "n"}, {"artifact_name", "new"}};
    for (const auto& [name, value] : more) body[name] = value;
    return manage("POST", "v2/deployments/deployments", json::serialize(body));
  }
  std::string created(json::object more) {
    const Answer answer = create(std::move(more));
    EXPECT_EQ(answer.status, 201) << answer.body;
    const std::string location(answer.headers.find("Location").value_or(""));
    return location.substr(location.rfind('/') + 1);
  }
  static json::array list(const Fleet& fleet) { return json::array(fleet.ids.begin(), fleet.ids.end()); }
  int steer(const std::string& id, std::string_view word) {
    return manage("PUT", fmt::format("v1/deployments/deployments/{}/status", id),
                  fmt::format(R"({{"status":"{}"}})", word))
        .status;
  }
  std::string later(Duration by) {
    return to_rfc3339(loop_.clock().wall() + std::chrono::duration_cast<std::chrono::milliseconds>(by));
  }
  json::value state_of(const std::string& id) { return deployment(id).at("postern").at("state"); }
  json::value explained(const std::string& device) {
    const Answer answer = manage("GET", fmt::format("v1/deployments/devices/{}/why", device));
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_FALSE(answer.json().at("text").as_string().empty());
    return answer.json();
  }
  std::string why(const std::string& device) {
    return std::string(explained(device).at("reason").as_string());
  }

  int devices_ = 0;
};

TEST_F(RolloutTest, PhasesBeginAtTheirTimes) {
  const Fleet f = fleet(4);
  const std::string id = created(
      {{"devices", list(f)},
       {"phases", json::array{json::object{{"batch_size", 25}}, json::object{{"start_ts", later(1h)}}}}});
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(poll(f.tokens[1]).status, 204);
  EXPECT_EQ(why(f.ids[1]), "phase-not-begun");
  loop_.advance(1h);
  EXPECT_EQ(poll(f.tokens[1]).status, 200);
  const auto phases = deployment(id).at("phases");
  EXPECT_EQ(phases.at(0).at("device_count"), 1);
  EXPECT_EQ(phases.at(1).at("device_count"), 1);
}

TEST_F(RolloutTest, ABatchThatWouldBeEmptyIsRefused) {
  const Fleet f = fleet(2);
  const Answer answer = create({{"devices", list(f)},
                                {"phases", json::array{json::object{{"batch_size", 50}},
                                                       json::object{{"batch_size", 50}}, json::object{}}}});
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("Attempt to create a batch with zero devices not allowed"), std::string::npos);
  EXPECT_NE(answer.body.find("Batch: (3) will be empty"), std::string::npos);
}

TEST_F(RolloutTest, APausedPhaseBeginsWhenAnOperatorResumes) {
  const Fleet f = fleet(2);
  const std::string id =
      created({{"devices", list(f)},
               {"phases", json::array{json::object{{"batch_size", 50}},
                                      json::object{{"postern", json::object{{"paused", true}}}}}}});
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(poll(f.tokens[1]).status, 204);
  EXPECT_EQ(steer(id, "inprogress"), 204);
  EXPECT_EQ(poll(f.tokens[1]).status, 200);
}

TEST_F(RolloutTest, PauseHoldsNewDevicesOnly) {
  const Fleet f = fleet(2);
  const std::string id = created({{"devices", list(f)}});
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(steer(id, "paused"), 204);
  EXPECT_EQ(state_of(id), "paused");
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(poll(f.tokens[1]).status, 204);
  EXPECT_EQ(why(f.ids[1]), "paused");
  EXPECT_EQ(steer(id, "inprogress"), 204);
  EXPECT_EQ(poll(f.tokens[1]).status, 200);
  EXPECT_EQ(steer(id, "installing"), 400);
  EXPECT_EQ(steer(id, "nonsense"), 400);
  EXPECT_EQ(steer(id, "aborted"), 204);
  EXPECT_EQ(steer(id, "paused"), 422);
}

TEST_F(RolloutTest, FailuresStopADeploymentUntilItIsResumed) {
  const Fleet f = fleet(4);
  const std::string id =
      created({{"devices", list(f)}, {"postern", json::object{{"stop_on", json::object{{"failures", 2}}}}}});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(poll(f.tokens[i]).status, 200);
    EXPECT_EQ(report(f.tokens[i], id, "failure").status, 204);
  }
  EXPECT_EQ(state_of(id), "stopped");
  EXPECT_EQ(poll(f.tokens[2]).status, 204);
  EXPECT_EQ(why(f.ids[2]), "stopped-by-failures");
  EXPECT_EQ(steer(id, "inprogress"), 204);
  EXPECT_EQ(poll(f.tokens[2]).status, 200);
  EXPECT_EQ(report(f.tokens[2], id, "failure").status, 204);
  EXPECT_EQ(state_of(id), "running") << "failures before the resume do not count";
}

TEST_F(RolloutTest, CapsHoldWhatIsTooMuchAtOnce) {
  const Fleet f = fleet(3);
  const std::string id = created({{"devices", list(f)}, {"postern", json::object{{"concurrent", 1}}}});
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(poll(f.tokens[1]).status, 204);
  EXPECT_EQ(why(f.ids[1]), "no-concurrent-left");
  EXPECT_EQ(report(f.tokens[0], id, "success").status, 204);
  EXPECT_EQ(poll(f.tokens[1]).status, 200);
  EXPECT_EQ(poll(f.tokens[2]).status, 204);
  EXPECT_EQ(deployment(id).at("postern").at("running"), 1);
}

TEST_F(RolloutTest, ASiteHasACapOfItsOwn) {
  const Fleet f = fleet(2);
  const std::string id =
      created({{"devices", list(f)}, {"postern", json::object{{"concurrent_per_site", 1}}}});
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(poll(f.tokens[1]).status, 204);
  EXPECT_EQ(why(f.ids[1]), "no-concurrent-at-site");
  EXPECT_EQ(report(f.tokens[0], id, "failure").status, 204);
  EXPECT_EQ(poll(f.tokens[1]).status, 200);
}

TEST_F(RolloutTest, WindowsOpenAndClose) {
  const Fleet f = fleet(1);
  // Two days from now, whatever the machine's time zone is.
  const std::array<const char*, 7> days{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  const auto today = std::chrono::weekday(std::chrono::floor<std::chrono::days>(loop_.clock().wall()));
  const char* day = days[(today.iso_encoding() - 1 + 2) % 7];
  created({{"devices", list(f)}, {"postern", json::object{{"windows", json::array{day}}}}});
  EXPECT_EQ(poll(f.tokens[0]).status, 204);
  const auto closed = explained(f.ids[0]);
  EXPECT_EQ(closed.at("reason"), "window-closed");
  const std::string text(closed.at("text").as_string());
  const WallTime opens = *from_rfc3339(text.substr(text.find("opens at ") + 9, 24));
  loop_.advance(opens - loop_.clock().wall());
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
}

TEST_F(RolloutTest, AFailedDeviceTriesAgainAsOftenAsOrdered) {
  const Fleet f = fleet(1);
  const std::string id = created({{"devices", list(f)}, {"retries", 3}});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(poll(f.tokens[0]).status, 200);
    EXPECT_EQ(report(f.tokens[0], id, "installing").status, 204);
    EXPECT_EQ(report(f.tokens[0], id, "failure").status, 204);
    EXPECT_EQ(report(f.tokens[0], id, "failure").status, 204) << "said twice";
    EXPECT_EQ(deployment(id).at("statistics").at("status").at("failure"), 0);
  }
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(report(f.tokens[0], id, "success").status, 204);
  const auto seen = deployment(id);
  EXPECT_EQ(seen.at("status"), "finished");
  EXPECT_EQ(seen.at("statistics").at("status").at("success"), 1);
  EXPECT_EQ(seen.at("retries"), 3);
}

TEST_F(RolloutTest, AttemptsEndAndTheDeviceFails) {
  const Fleet f = fleet(1);
  const std::string id = created({{"devices", list(f)}, {"retries", 1}});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(poll(f.tokens[0]).status, 200);
    EXPECT_EQ(report(f.tokens[0], id, "failure").status, 204);
  }
  EXPECT_EQ(poll(f.tokens[0]).status, 204);
  EXPECT_EQ(deployment(id).at("statistics").at("status").at("failure"), 1);
}

TEST_F(RolloutTest, AFilterMeansWhoeverMatchesAtThePoll) {
  const Fleet f = fleet(2);
  const std::string id =
      created({{"postern", json::object{{"filter", json::array{json::object{{"scope", "inventory"},
                                                                            {"attribute", "room"},
                                                                            {"type", "$eq"},
                                                                            {"value", "a"}}}}}}});
  EXPECT_EQ(poll(f.tokens[0]).status, 204);
  EXPECT_EQ(why(f.ids[0]), "not-targeted");
  EXPECT_EQ(ask("PATCH", "/api/devices/v1/inventory/device/attributes", R"([{"name":"room","value":"a"}])",
                bearer(f.tokens[0]))
                .status,
            200);
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(poll(f.tokens[1]).status, 204);
  EXPECT_EQ(report(f.tokens[0], id, "success").status, 204);
  const auto seen = deployment(id);
  EXPECT_EQ(seen.at("status"), "inprogress") << "others may come";
  EXPECT_EQ(seen.at("dynamic"), true);
  EXPECT_EQ(steer(id, "aborted"), 204);
}

TEST_F(RolloutTest, MaxDevicesEndsADeploymentWithoutAList) {
  const Fleet f = fleet(2);
  const std::string id =
      created({{"max_devices", 1},
               {"postern", json::object{{"filter", json::array{json::object{{"scope", "identity"},
                                                                            {"attribute", "mac"},
                                                                            {"type", "$exists"},
                                                                            {"value", true}}}}}}});
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(poll(f.tokens[1]).status, 204);
  EXPECT_EQ(report(f.tokens[0], id, "success").status, 204);
  EXPECT_EQ(deployment(id).at("status"), "finished");
}

TEST_F(RolloutTest, OrdersThatContradictThemselvesAreRefused) {
  for (const char* body : {
           R"({"name":"n","artifact_name":"new"})",
           R"({"name":"n","artifact_name":"new","devices":["d"],"postern":{"site":"s"}})",
           R"({"name":"n","artifact_name":"new","devices":["d"],"retries":-1})",
           R"({"name":"n","artifact_name":"new","devices":["d"],"postern":{"windows":["Someday"]}})",
           R"({"name":"n","artifact_name":"new","devices":["d"],"postern":{"stop_on":{"last":5}}})",
           R"({"name":"n","artifact_name":"new","devices":["d"],"phases":[{"batch_size":101}]})",
           R"({"name":"n","artifact_name":"new","devices":["d"],"phases":[{"start_ts":"soon"}]})",
       }) {
    EXPECT_EQ(manage("POST", "v2/deployments/deployments", body).status, 400) << body;
  }
}

TEST_F(RolloutTest, V1TakesAndIgnoresWhatItHasAlwaysIgnored) {
  const Fleet f = fleet(1);
  const Answer answer = manage(
      "POST", "v1/deployments/deployments",
      fmt::format(
          R"({{"name":"n","artifact_name":"new","devices":["{}"],"retries":3,"phases":[{{"batch_size":1}}]}})",
          f.ids[0]));
  EXPECT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
}

TEST_F(RolloutTest, WhySaysWhatADeviceWaitsFor) {
  const Fleet f = fleet(1);
  EXPECT_EQ(poll(f.tokens[0]).status, 204);
  EXPECT_EQ(why(f.ids[0]), "not-targeted");
  const std::string first = deploy("new", f.ids[0]);
  EXPECT_EQ(why(f.ids[0]), "not-seen-since");
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(report(f.tokens[0], first, "installing").status, 204);
  const auto busy = explained(f.ids[0]);
  EXPECT_EQ(busy.at("reason"), "busy");
  EXPECT_NE(busy.at("text").as_string().find("installing"), json::string::npos);
  EXPECT_EQ(upload(testing::build_artifact({.name = "next"})).status, 201);
  const std::string second = deploy("next", f.ids[0]);
  EXPECT_EQ(explained(f.ids[0]).at("considered").at(1).at("reason"), "behind-another");
  EXPECT_EQ(report(f.tokens[0], first, "success").status, 204);
  EXPECT_EQ(poll(f.tokens[0], "next").status, 204);
  EXPECT_EQ(why(f.ids[0]), "already-installed");
}

TEST_F(RolloutTest, WhySaysThatNoArtifactFits) {
  const Fleet f = fleet(1);
  EXPECT_EQ(poll(f.tokens[0], "old", "other-type").status, 204);
  deploy("new", f.ids[0]);
  EXPECT_EQ(why(f.ids[0]), "no-compatible-artifact");
}

TEST_F(RolloutTest, WhySaysWhichDependIsNotMet) {
  EXPECT_EQ(upload(testing::build_artifact({.name = "picky", .depends = {{"board", "b2"}}})).status, 201);
  const Fleet f = fleet(1);
  EXPECT_EQ(poll(f.tokens[0]).status, 204);
  deploy("picky", f.ids[0]);
  const auto answer = explained(f.ids[0]);
  EXPECT_EQ(answer.at("reason"), "depends-not-met");
  EXPECT_NE(answer.at("text").as_string().find("board is one of b2"), json::string::npos);
}

TEST_F(RolloutTest, WhySaysThatADeviceIsNotAccepted) {
  EXPECT_EQ(authenticate(PrivateKey::generate(KeyType::ed25519), "00:99").status, 401);
  const auto devices = manage("GET", "v2/devauth/devices?status=pending").json();
  EXPECT_EQ(why(std::string(devices.at(0).at("id").as_string())), "not-accepted");
  EXPECT_EQ(manage("GET", "v1/deployments/devices/nobody/why").status, 404);
}

TEST_F(RolloutTest, StuckNamesWhoDoesNotGetOn) {
  const Fleet f = fleet(2);
  const std::string id =
      created({{"devices", list(f)}, {"postern", json::object{{"stuck_after_seconds", 600}}}});
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  EXPECT_EQ(report(f.tokens[0], id, "installing").status, 204);
  EXPECT_EQ(manage("GET", "v1/deployments/stuck").json(), json::value(json::array{}));
  loop_.advance(10min);
  EXPECT_EQ(poll(f.tokens[1]).status, 200);
  const auto stuck = manage("GET", "v1/deployments/stuck").json();
  ASSERT_EQ(stuck.as_array().size(), 1U);
  EXPECT_EQ(stuck.at(0).at("id"), json::value(f.ids[0]));
  EXPECT_EQ(stuck.at(0).at("status"), "installing");
}

TEST_F(RolloutTest, ADeviceHasAHistoryThatCanBeCleared) {
  const Fleet f = fleet(1);
  const std::string id = deploy("new", f.ids[0]);
  EXPECT_EQ(poll(f.tokens[0]).status, 200);
  const std::string path = "v1/deployments/deployments/devices/" + f.ids[0];
  const auto history = manage("GET", path).json();
  ASSERT_EQ(history.as_array().size(), 1U);
  EXPECT_EQ(history.at(0).at("deployment").at("id"), json::value(id));
  EXPECT_EQ(history.at(0).at("device").at("status"), "pending");
  EXPECT_EQ(manage("GET", path + "?per_page=21").status, 400);
  EXPECT_EQ(manage("DELETE", path + "/history").status, 204);
  EXPECT_EQ(manage("GET", path).json().as_array().size(), 1U) << "what goes on is not history";
  EXPECT_EQ(manage("DELETE", path).status, 204);
  EXPECT_EQ(report(f.tokens[0], id, "installing").status, 409);
  EXPECT_EQ(manage("DELETE", path + "/history").status, 204);
  EXPECT_EQ(manage("GET", path).json(), json::value(json::array{}));
}

TEST_F(RolloutTest, StatisticsOfManyComeInOneAnswer) {
  const Fleet f = fleet(1);
  const std::string id = deploy("new", f.ids[0]);
  const auto ask_for = [&](const std::string& ids) {
    return manage("POST", "v1/deployments/deployments/statistics/list",
                  fmt::format(R"({{"deployment_ids":[{}]}})", ids));
  };
  EXPECT_EQ(ask_for("\"" + id + "\"").json().at(0).at("stats").at("pending"), 1);
  EXPECT_EQ(ask_for("").body, "{}");
  EXPECT_EQ(ask_for("\"00000000-0000-4000-8000-000000000000\"").status, 404);
  EXPECT_EQ(ask_for("\"x\"").status, 400);
}

TEST_F(RolloutTest, OperatorsAreWrittenDown) {
  const Fleet f = fleet(1);
  const std::string id = created({{"devices", list(f)}});
  EXPECT_EQ(steer(id, "paused"), 204);
  EXPECT_EQ(steer(id, "inprogress"), 204);
  EXPECT_EQ(steer(id, "aborted"), 204);
  std::vector<std::string> actions;
  EXPECT_TRUE(loop_.run(KvStore(database_).read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const AuditPage page,
                tx.audit().list({.object_id = id, .object_type = "deployment", .oldest_first = true}, 0, 10));
    for (const AuditEntry& entry : page.entries) {
      actions.push_back(entry.action);
      EXPECT_EQ(entry.actor.email, "admin");
    }
    return {};
  })));
  EXPECT_EQ(actions, (std::vector<std::string>{"create", "pause", "resume", "abort"}));
}

}  // namespace
}  // namespace postern::cloud
