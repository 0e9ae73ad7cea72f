// The commands against a server that answers what the test says.
#include "cloud/cli/commands.hpp"

#include "cloud/cli/scripted_server.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using ArtifactCommandTest = ScriptedServerTest;
using DeviceCommandTest = ScriptedServerTest;
using GatewayCommandTest = ScriptedServerTest;
using DeploymentCommandTest = ScriptedServerTest;

json::value device(std::string_view id, const json::array& sets) {
  return {{"id", id}, {"identity_data", {{"mac", "m"}}}, {"auth_sets", sets}};
}
json::value set(std::string_view id, std::string_view status) {
  return {{"id", id}, {"status", status}};
}
json::value deployment(std::string_view status, const json::object& counts, int targets = 2) {
  return {{"id", "x"},
          {"name", "n"},
          {"artifact_name", "r"},
          {"status", status},
          {"max_devices", targets},
          {"statistics", {{"status", counts}}}};
}

TEST_F(ArtifactCommandTest, UploadSendsTheFileBehindItsFields) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.mender";
  const std::string content(600'000, 'c');
  ASSERT_TRUE(write_file(path, content, 0600, Existing::refuse));
  will_answer(201, nullptr, {{"Location", "/api/management/v1/deployments/artifacts/art-1"}});
  EXPECT_EQ(run(upload_artifact(context_, path, "words")), "art-1\n");
  const std::string& body = bodies_.at(0);
  EXPECT_LT(body.find("name=\"size\"\r\n\r\n600000\r\n"), body.find("name=\"description\"\r\n\r\nwords\r\n"));
  EXPECT_LT(body.find("name=\"description\""), body.find("name=\"artifact\""));
  EXPECT_TRUE(body.contains(content + "\r\n--postern-"));
  EXPECT_THAT(screen_, HasSubstr("a.mender 100% ["));
}

TEST_F(ArtifactCommandTest, UploadNamesTheFileThatCannotBeRead) {
  EXPECT_THAT(run(upload_artifact(context_, "/no/such.mender", "")), HasSubstr("/no/such.mender"));
}

TEST_F(ArtifactCommandTest, UploadTakesFilesOnly) {
  EXPECT_EQ(run(upload_artifact(context_, "/", "")), "error: / is no file");
  EXPECT_TRUE(requests_.empty());
}

TEST_F(ArtifactCommandTest, UploadNamesTheFileThatWasRefused) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.mender";
  ASSERT_TRUE(write_file(path, "x", 0600, Existing::refuse));
  will_answer(400, {{"error", "reading artifact error"}});
  EXPECT_EQ(run(upload_artifact(context_, path, "")),
            "error: " + path + ": http://localhost: reading artifact error");
}

TEST_F(ArtifactCommandTest, ShowTakesAnIdOrAnExactName) {
  const std::string id = "0a31c2d4-5b7e-4c11-9d7a-0e4f6b1c2d3e";
  will_answer(200, {{"id", id}, {"name", "r"}});
  EXPECT_THAT(run(show_artifact(context_, id)), HasSubstr(id));
  will_answer(200, json::array{{{"name", "r"}, {"id", "1"}}, {{"name", "r-2"}, {"id", "2"}}});
  EXPECT_THAT(run(show_artifact(context_, "r")), Not(HasSubstr("r-2")));
  EXPECT_THAT(requests_.back(), HasSubstr("/artifacts/list?name=r&"));
}

TEST_F(ArtifactCommandTest, DeleteAsksForAnIdWhenANameIsAmbiguous) {
  will_answer(200, json::array{{{"name", "r"}, {"id", "1"}}, {{"name", "r"}, {"id", "2"}}});
  EXPECT_THAT(run(delete_artifact(context_, "r")), HasSubstr("2 artifacts have the name r"));
  EXPECT_EQ(requests_.size(), 1U);
}

TEST_F(ArtifactCommandTest, DeleteTellsThatADeploymentUsesIt) {
  will_answer(200, json::array{{{"name", "r"}, {"id", "1"}}});
  will_answer(409, {{"error", "Artifact is used in active deployment"}});
  EXPECT_EQ(run(delete_artifact(context_, "r")),
            "error: artifact r (1): http://localhost: Artifact is used in active deployment");
}

TEST_F(DeviceCommandTest, JsonIsTheServersAnswerInFull) {
  context_.output = Output::json;
  will_answer(200, json::array{{{"id", "d1"}, {"extra", true}}});
  EXPECT_EQ(run(list_devices(context_, "accepted")), "[{\"id\":\"d1\",\"extra\":true}]\n");
}

TEST_F(DeviceCommandTest, ShowIsContentWithoutInventory) {
  will_answer(200, device("d1", {set("s1", "pending")}));
  will_answer(404, {{"error", "Device not found"}});
  EXPECT_THAT(run(show_device(context_, "d1")), HasSubstr("s1  pending"));
}

TEST_F(DeviceCommandTest, TheListTellsASiteFromTalkingDirectly) {
  will_answer(200,
              json::array{{{"id", "d1"}, {"site", "alpha"}}, {{"id", "d2"}, {"site", ""}}, {{"id", "d3"}}});
  EXPECT_EQ(run(list_devices(context_, "")),
            "ID  STATUS  IDENTITY  SITE    CREATED\n"
            "d1  -       -         alpha   -\n"
            "d2  -       -         direct  -\n"
            "d3  -       -         -       -\n");
}

TEST_F(DeviceCommandTest, ShowTellsWhereADeviceIsAndWhoElseAskedForIt) {
  json::value shown = device("d1", {});
  shown.as_object()["site"] = "alpha";
  shown.as_object()["gateway"] = "gw-a";
  shown.as_object()["site_since"] = "T1";
  shown.as_object()["previous_site"] = "";
  shown.as_object()["moved_ts"] = "T1";
  shown.as_object()["conflict"] = {{"site", "beta"}, {"gateway", "gw-b"}, {"auth_set", "s2"}, {"at", "T2"}};
  will_answer(200, shown);
  will_answer(404, {{"error", "Device not found"}});
  const std::string text = run(show_device(context_, "d1"));
  EXPECT_THAT(text, HasSubstr("Site         alpha\nGateway      gw-a\nThere since  T1\n"));
  EXPECT_THAT(text, HasSubstr("direct until T1"));
  EXPECT_THAT(text, HasSubstr("gateway gw-b of site beta asked for auth set s2 at T2"));
}

json::value gateway() {
  return {{"id", "g1"},
          {"name", "gw-a"},
          {"site", "alpha"},
          {"version", "1.0"},
          {"last_seen", "SEEN"},
          {"device_count", 2},
          {"certificate", {{"subject", "CN=gw-a"}, {"expires", "END"}}}};
}

TEST_F(GatewayCommandTest, ListShowsOneLineEach) {
  will_answer(200, json::array{gateway()});
  EXPECT_EQ(run(list_gateways(context_)),
            "NAME  SITE   DEVICES  LAST SEEN  CERTIFICATE EXPIRES  VERSION\n"
            "gw-a  alpha  2        SEEN       END                  1.0\n");
  EXPECT_THAT(requests_.back(), HasSubstr("GET /api/management/v1/gateways?"));
}

TEST_F(GatewayCommandTest, ShowListsTheDevices) {
  will_answer(200, gateway());
  will_answer(200, json::array{device("d1", {})});
  const std::string text = run(show_gateway(context_, "gw a"));
  EXPECT_THAT(text, HasSubstr("Certificate  CN=gw-a\n"));
  EXPECT_THAT(text, HasSubstr("Devices      1\n"));
  EXPECT_THAT(text, HasSubstr("d1  -       mac=m"));
  EXPECT_EQ(requests_.front(), "GET /api/management/v1/gateways/gw%20a");
  EXPECT_THAT(requests_.back(), HasSubstr("devauth/devices?gateway=g1&"));
}

TEST_F(GatewayCommandTest, JsonIsTheServersAnswerWithTheDevices) {
  context_.output = Output::json;
  will_answer(200, json::array{gateway()});
  EXPECT_EQ(json::parse(run(list_gateways(context_))), json::value(json::array{gateway()}));
  will_answer(200, gateway());
  will_answer(200, json::array{device("d1", {})});
  const auto shown = json::parse(run(show_gateway(context_, "gw-a")));
  EXPECT_EQ(shown.at("id"), "g1");
  EXPECT_EQ(shown.at("devices").at(0).at("id"), "d1");
}

TEST_F(GatewayCommandTest, SaysWhichGatewayIsNotThere) {
  will_answer(404, {{"error", "gateway not found"}});
  EXPECT_EQ(run(show_gateway(context_, "x")), "error: gateway x: http://localhost: gateway not found");
}

TEST_F(DeviceCommandTest, AcceptChoosesTheSetThatIsPending) {
  will_answer(200, json::array{device("d1", {set("s1", "rejected"), set("s2", "pending")})});
  will_answer(204, nullptr);
  const Report report = run_report(decide_devices(context_, "accepted", {.all_pending = true}));
  EXPECT_EQ(report.text, "accepted d1  mac=m\n");
  EXPECT_THAT(report.failures, IsEmpty());
  EXPECT_EQ(requests_.back(), "PUT /api/management/v2/devauth/devices/d1/auth/s2/status");
  EXPECT_EQ(bodies_.back(), R"({"status":"accepted"})");
}

TEST_F(DeviceCommandTest, AcceptTakesTheSetThatIsNamed) {
  will_answer(200, device("d1", {set("s1", "pending"), set("s2", "pending")}));
  will_answer(204, nullptr);
  run_report(decide_devices(context_, "accepted", {.ids = {"d1"}, .auth_set = "s2"}));
  EXPECT_EQ(requests_.back(), "PUT /api/management/v2/devauth/devices/d1/auth/s2/status");
}

TEST_F(DeviceCommandTest, OneDeviceThatFailsDoesNotStopTheOthers) {
  will_answer(200, json::array{device("d1", {set("s1", "pending")}), device("d2", {set("s2", "pending")})});
  will_answer(422, {{"error", "maximum number of accepted devices reached"}});
  will_answer(204, nullptr);
  const Report report = run_report(decide_devices(context_, "accepted", {.all_pending = true}));
  EXPECT_EQ(report.text, "accepted d2  mac=m\n");
  EXPECT_THAT(report.failures,
              ElementsAre("device d1: http://localhost: maximum number of accepted devices reached"));
}

TEST_F(DeviceCommandTest, AcceptWaitsForSoManyDevices) {
  will_answer(200, {{"count", 0}});
  will_answer(200, {{"count", 1}});
  will_answer(200, json::array{device("d1", {set("s1", "pending")})});
  will_answer(204, nullptr);
  const Report report =
      run_report(decide_devices(context_, "accepted", {.all_pending = true, .wait_for = 1}));
  EXPECT_EQ(report.text, "accepted d1  mac=m\n");
}

TEST_F(DeviceCommandTest, WaitingOutlivesARestartOfTheServer) {
  will_answer(200, {{"count", 0}});
  will_answer(503, {{"error", "service unavailable"}});
  will_answer(200, {{"count", 1}});
  will_answer(200, json::array{device("d1", {set("s1", "pending")})});
  will_answer(204, nullptr);
  const Report report =
      run_report(decide_devices(context_, "accepted", {.all_pending = true, .wait_for = 1}));
  EXPECT_EQ(report.text, "accepted d1  mac=m\n");
}

TEST_F(DeviceCommandTest, WaitingEndsAtItsTimeout) {
  for (int i = 0; i < 10; ++i) will_answer(200, {{"count", 0}});
  const Report report =
      run_report(decide_devices(context_, "accepted", {.all_pending = true, .wait_for = 1, .timeout = 2s}));
  EXPECT_THAT(report.failures,
              ElementsAre("error: 1 devices did not ask to be let in within 2 s: 0 pending"));
}

TEST(SetsToChange, AcceptIsNothingForADeviceThatIsAccepted) {
  const auto sets = sets_to_change(device("d", {set("old", "rejected"), set("now", "accepted")}), "accepted");
  EXPECT_THAT(*sets, IsEmpty());
}

TEST(SetsToChange, AcceptPrefersTheSetThatWaits) {
  const auto sets = sets_to_change(device("d", {set("now", "accepted"), set("new", "pending")}), "accepted");
  EXPECT_THAT(*sets, ElementsAre("new"));
}

TEST(SetsToChange, AcceptReadmitsTheOnlySetThatWasRejected) {
  EXPECT_THAT(*sets_to_change(device("d", {set("s", "rejected")}), "accepted"), ElementsAre("s"));
}

TEST(SetsToChange, AcceptDoesNotGuessBetweenKeys) {
  const auto sets = sets_to_change(device("d", {set("a", "pending"), set("b", "pending")}), "accepted");
  EXPECT_THAT(sets.error().what, HasSubstr("--auth-set: a, b"));
}

TEST(SetsToChange, RejectKeepsTheDeviceOutWhicheverKeyItShows) {
  const auto sets = sets_to_change(
      device("d", {set("a", "accepted"), set("b", "pending"), set("c", "rejected")}), "rejected");
  EXPECT_THAT(*sets, ::testing::UnorderedElementsAre("a", "b"));
}

TEST(SetsToChange, ADeviceWithoutSetsIsAConflict) {
  EXPECT_EQ(sets_to_change(device("d", {}), "accepted").error().reason, Reason::conflict);
}

TEST_F(DeploymentCommandTest, CreateSaysWhatIsWanted) {
  will_answer(201, nullptr, {{"Location", "/api/management/v1/deployments/deployments/x"}});
  EXPECT_EQ(
      run(create_deployment(
          context_, {.name = "n", .artifact = "r", .devices = {"d1", "d2"}, .force = true, .retries = 2})),
      "x");
  EXPECT_EQ(json::parse(bodies_.at(0)), (json::value{{"name", "n"},
                                                     {"artifact_name", "r"},
                                                     {"devices", {"d1", "d2"}},
                                                     {"force_installation", true},
                                                     {"retries", 2}}));
}

TEST_F(DeploymentCommandTest, CreateSaysWhatThePlanIs) {
  will_answer(201, nullptr, {{"Location", "/api/management/v2/deployments/deployments/x"}});
  EXPECT_EQ(run(create_deployment(context_, {.name = "n",
                                             .artifact = "r",
                                             .filters = {"room=a", "identity/mac=1=2"},
                                             .phases = "10%@now,5@resume,100%",
                                             .max_failures = "10%",
                                             .windows = {"Mon 10:00-11:00"},
                                             .concurrent = 3})),
            "x");
  EXPECT_EQ(json::parse(bodies_.at(0)), json::parse(R"({"name":"n","artifact_name":"r",
      "phases":[{"batch_size":10},{"postern":{"paused":true,"devices":5}},{}],
      "postern":{"stop_on":{"percent":10},"windows":["Mon 10:00-11:00"],"concurrent":3,
                 "filter":[{"scope":"inventory","attribute":"room","type":"$eq","value":"a"},
                           {"scope":"identity","attribute":"mac","type":"$eq","value":"1=2"}]}})"));
}

TEST(ParsePhases, TakesTimesThatAreRelativeToNow) {
  const WallTime now = *from_rfc3339("2026-01-05T12:00:00Z");
  EXPECT_EQ(parse_phases("10%@+1h,100%@2026-01-06T00:00:00Z", now).value(),
            json::parse(R"([{"start_ts":"2026-01-05T13:00:00.000Z","batch_size":10},
                            {"start_ts":"2026-01-06T00:00:00.000Z"}])"));
  for (const char* text : {"", "0%", "101%", "x", "10%@later", "10%,,5"}) {
    EXPECT_FALSE(parse_phases(text, now)) << text;
  }
}

TEST_F(DeploymentCommandTest, WatchFollowsADeploymentThroughARestartOfTheServer) {
  will_answer(200, deployment("inprogress", {{"success", 0}, {"installing", 2}}));
  will_answer(503, {{"error", "service unavailable"}});
  will_answer(200, deployment("finished", {{"success", 2}}));
  will_answer(200, json::array{{{"id", "d1"},
                                {"status", "success"},
                                {"started", "2026-01-02T03:04:05.000Z"},
                                {"finished", "2026-01-02T03:04:35.500Z"}},
                               {{"id", "d2"}, {"status", "success"}}});
  will_answer(200, json::array{"d1", "d2"});
  will_answer(200, json::array{device("d1", {})});
  const Report report = run_report(watch_deployment(context_, "x", 1h));
  EXPECT_THAT(report.failures, IsEmpty());
  EXPECT_THAT(report.text, HasSubstr("d1      mac=m     success  2026-01-02T03:04:05.000Z"));
  EXPECT_THAT(report.text, HasSubstr("30.5"));
  EXPECT_THAT(screen_, HasSubstr("0/2  installing 2"));
  EXPECT_THAT(screen_, HasSubstr("2/2  success 2"));
}

TEST_F(DeploymentCommandTest, WatchFailsWhenADeviceFailed) {
  will_answer(200, deployment("finished", {{"success", 1}, {"failure", 1}}));
  will_answer(200, json::array{});
  will_answer(200, json::array{});
  const Report report = run_report(watch_deployment(context_, "x", 1h));
  EXPECT_THAT(report.failures,
              ElementsAre("deployment x did not go well: 1 failed, 0 aborted, 0 never asked for it"));
}

TEST_F(DeploymentCommandTest, WatchFailsWhenAnAbortKeptDevicesFromAsking) {
  will_answer(200, deployment("finished", {{"success", 1}}));
  will_answer(200, json::array{{{"id", "d1"}, {"status", "success"}}});
  will_answer(200, json::array{"d1", "d2"});
  will_answer(200, json::array{});
  const Report report = run_report(watch_deployment(context_, "x", 1h));
  EXPECT_THAT(report.failures, ElementsAre(HasSubstr("1 never asked for it")));
  EXPECT_THAT(report.text, HasSubstr("d2      -         not asked"));
}

TEST_F(DeploymentCommandTest, WatchIsContentWithDevicesThatNeededNothing) {
  will_answer(200, deployment("finished", {{"noartifact", 1}, {"already-installed", 1}}));
  will_answer(200, json::array{});
  will_answer(200, json::array{});
  EXPECT_THAT(run_report(watch_deployment(context_, "x", 1h)).failures, IsEmpty());
}

TEST_F(DeploymentCommandTest, WatchEndsAtItsTimeout) {
  for (int i = 0; i < 5; ++i) will_answer(200, deployment("pending", {{"pending", 2}}));
  EXPECT_THAT(run_report(watch_deployment(context_, "x", 3s)).failures,
              ElementsAre("error: deployment x did not finish within 3 s: pending 2"));
}

TEST_F(DeploymentCommandTest, WatchEndsOnTimeWhenTheServerHangs) {
  will_answer(200, deployment("pending", {{"pending", 2}}));
  answers_take_ = 1h;
  const SteadyTime begin = loop_.clock().now();
  EXPECT_THAT(run_report(watch_deployment(context_, "x", 3s)).failures,
              ElementsAre("error: deployment x did not finish within 3 s: the server did not answer"));
  EXPECT_LE(loop_.clock().now() - begin, 4s);
  loop_.advance(2h);
}

TEST_F(DeploymentCommandTest, WatchTakesAnyTimeout) {
  will_answer(200, deployment("finished", {{"success", 2}}));
  will_answer(200, json::array{});
  will_answer(200, json::array{});
  EXPECT_THAT(run_report(watch_deployment(context_, "x", Duration::max())).failures, IsEmpty());
}

TEST_F(DeploymentCommandTest, WatchOfAServerThatCannotBeReachedEndsAtOnce) {
  api_ = *ApiClient::make(*client_, {.server = "https://nobody", .ca = {}, .token = "t"});
  EXPECT_THAT(run_report(watch_deployment(context_, "x", 1h)).failures,
              ElementsAre(HasSubstr("cannot talk to https://nobody")));
}

TEST_F(DeploymentCommandTest, WatchGivesUpOnAServerThatStaysAway) {
  will_answer(200, deployment("pending", {{"pending", 2}}));
  for (int i = 0; i < 200; ++i) will_answer(503, {{"error", "service unavailable"}});
  EXPECT_THAT(run_report(watch_deployment(context_, "x", 1h)).failures,
              ElementsAre(HasSubstr("service unavailable")));
  EXPECT_EQ(requests_.size(), 122U);
}

TEST_F(DeploymentCommandTest, WatchOfAnUnknownDeploymentEndsAtOnce) {
  will_answer(404, {{"error", "Resource not found"}});
  EXPECT_THAT(run_report(watch_deployment(context_, "y", 1h)).failures,
              ElementsAre("error: deployment y: http://localhost: Resource not found"));
}

TEST_F(DeploymentCommandTest, JsonHasTheDevicesInIt) {
  context_.output = Output::json;
  will_answer(200, deployment("finished", {{"success", 2}}));
  will_answer(200, json::array{{{"id", "d1"}, {"log", false}}});
  const auto shown = json::parse(run(show_deployment(context_, "x")));
  EXPECT_EQ(shown.at("devices"), (json::array{{{"id", "d1"}, {"log", false}}}));
  EXPECT_EQ(shown.at("max_devices"), 2);
}

}  // namespace
}  // namespace postern::cli
