// The commands against a server that answers what the test says.
#include "cloud/cli/commands.hpp"

#include <deque>

#include <boost/json.hpp>

#include "shared/http/answer.hpp"
#include "shared/http/server.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() { POSTERN_ASSERT(server_.listen({"cloud", 80}).has_value()); }
  ~CommandsTest() override {
    client_.reset();
    EXPECT_TRUE(loop_.run(server_.stop(1s)));
  }

  /// The next answer; requests without one get 404.
  void will_answer(int status, json::value body, std::string location = "") {
    answers_.push_back({status, std::move(body), std::move(location)});
  }
  Context& context() { return context_; }
  std::string run(Text command) {
    const auto text = loop_.run(std::move(command));
    return text ? *text : "error: " + text.error().what;
  }

  struct Answer {
    int status;
    json::value body;
    std::string location;
  };
  net::awaitable<http::Response> answer(http::Request& request) {
    requests_.push_back(fmt::format("{} {}", request.method, request.target));
    auto body = co_await http::read_all(*request.body, 64 << 20);
    bodies_.push_back(body.value_or("unreadable"));
    if (answers_.empty()) co_return http::error_answer(404, "not found", request);
    Answer next = std::move(answers_.front());
    answers_.pop_front();
    auto response = http::json_answer(next.status, next.body);
    if (!next.location.empty()) response.headers.set("Location", next.location);
    co_return response;
  }

  testing::Loop loop_;
  testing::MemoryNetwork network_{loop_.executor()};
  testing::MemoryLog log_;
  testing::SeededRandom random_{1};
  std::deque<Answer> answers_;
  std::vector<std::string> requests_;
  std::vector<std::string> bodies_;
  http::Server server_{
      network_, loop_.clock(),      random_,
      log_,     {loop_.executor()}, [this](http::Request& request) { return answer(request); },
      {}};
  std::unique_ptr<http::Client> client_ =
      std::make_unique<http::Client>(network_, loop_.clock(), http::ClientOptions{});
  ApiClient api_ = *ApiClient::make(*client_, {.server = "http://cloud", .ca = {}, .token = "t"});
  Pool pool_{0};
  Context context_{.api = api_, .clock = loop_.clock(), .pool = pool_};
};

TEST_F(CommandsTest, UploadSendsTheFileBetweenItsFields) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.mender";
  const std::string content(600'000, 'c');
  ASSERT_TRUE(write_file(path, content, 0600, Existing::refuse));
  will_answer(201, nullptr, "/api/management/v1/deployments/artifacts/art-1");
  EXPECT_EQ(run(upload_artifact(context(), path, "words")), "art-1\n");
  const std::string& body = bodies_.at(0);
  EXPECT_LT(body.find("name=\"size\"\r\n\r\n600000\r\n"), body.find("name=\"description\"\r\n\r\nwords\r\n"));
  EXPECT_LT(body.find("name=\"description\""), body.find("name=\"artifact\""));
  EXPECT_TRUE(body.contains(content));
}

TEST_F(CommandsTest, AFileThatIsNotThereIsNamed) {
  EXPECT_THAT(run(upload_artifact(context(), "/no/such.mender", "")), HasSubstr("/no/such.mender"));
}

TEST_F(CommandsTest, ARefusalIsToldInTheServersWords) {
  will_answer(401, {{"error", "unauthorized"}});
  EXPECT_THAT(run(list_devices(context(), "")), HasSubstr("postern login"));
  will_answer(422, {{"error", "No artifact for the deployment"}});
  EXPECT_THAT(run(create_deployment(context(), {.name = "n", .artifact = "a", .devices = {"d"}})),
              HasSubstr("No artifact for the deployment"));
}

TEST_F(CommandsTest, DevicesAreAcceptedByTheSetThatIsPending) {
  const json::value device{
      {"id", "d1"},
      {"identity_data", {{"mac", "m"}}},
      {"auth_sets", {{{"id", "s1"}, {"status", "rejected"}}, {{"id", "s2"}, {"status", "pending"}}}}};
  will_answer(200, json::array{device});
  will_answer(204, nullptr);
  EXPECT_EQ(run(decide_devices(context(), "accepted", {.all_pending = true})), "accepted d1  mac=m\n");
  EXPECT_EQ(requests_.back(), "PUT /api/management/v2/devauth/devices/d1/auth/s2/status");
  EXPECT_EQ(bodies_.back(), R"({"status":"accepted"})");
}

TEST_F(CommandsTest, WaitingForDevicesEndsAtItsTimeout) {
  for (int i = 0; i < 10; ++i) will_answer(200, json::array{});
  EXPECT_THAT(run(decide_devices(context(), "accepted", {.all_pending = true, .wait_for = 1, .timeout = 2s})),
              HasSubstr("only 0 of 1"));
}

TEST_F(CommandsTest, AWatchFollowsADeploymentToItsEnd) {
  const auto deployment = [](std::string_view status, int success) {
    return json::value{{"id", "x"},
                       {"name", "n"},
                       {"status", status},
                       {"max_devices", 1},
                       {"statistics", {{"status", {{"success", success}}}}}};
  };
  will_answer(200, deployment("inprogress", 0));
  will_answer(503, {{"error", "restarting"}});
  will_answer(200, deployment("finished", 1));
  will_answer(200, json::array{{{"id", "d1"}, {"status", "success"}}});
  const auto watched = loop_.run(watch_deployment(context(), "x", 1h));
  ASSERT_TRUE(watched) << watched.error().what;
  EXPECT_TRUE(watched->all_succeeded);
  EXPECT_THAT(watched->text, HasSubstr("d1"));
}

TEST_F(CommandsTest, AWatchOfAFailedDeploymentSaysSo) {
  will_answer(200, {{"name", "n"},
                    {"status", "finished"},
                    {"max_devices", 2},
                    {"statistics", {{"status", {{"success", 1}, {"failure", 1}}}}}});
  will_answer(200, json::array{});
  EXPECT_FALSE(loop_.run(watch_deployment(context(), "x", 1h))->all_succeeded);
}

TEST_F(CommandsTest, DeletingByAnAmbiguousNameAsksForAnId) {
  will_answer(200, json::array{{{"name", "r"}, {"id", "1"}}, {{"name", "r"}, {"id", "2"}}});
  EXPECT_THAT(run(delete_artifact(context(), "r")), HasSubstr("2 artifacts have the name r"));
}

TEST_F(CommandsTest, JsonOutputIsTheServersAnswerInFull) {
  context_.output = Output::json;
  will_answer(200, json::array{{{"id", "d1"}, {"extra", true}}});
  EXPECT_EQ(run(list_devices(context(), "accepted")), "[{\"id\":\"d1\",\"extra\":true}]\n");
  EXPECT_THAT(requests_,
              ElementsAre("GET /api/management/v2/devauth/devices?status=accepted&page=1&per_page=500"));
}

TEST_F(CommandsTest, ListsAreReadPageByPage) {
  json::array full(500, json::value{{"id", "d"}});
  will_answer(200, full);
  will_answer(200, json::array{{{"id", "last"}}});
  EXPECT_THAT(run(list_deployments(context())), HasSubstr("last"));
  EXPECT_EQ(requests_.size(), 2);
}

}  // namespace
}  // namespace postern::cli
