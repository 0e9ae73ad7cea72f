#include "device/host/deployment_log.hpp"

#include <boost/json.hpp>

#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string entry(std::string_view time, std::string_view message) {
  return fmt::format(R"({{"timestamp":"{}","level":"info","message":"{}"}})", time, message);
}

constexpr std::string_view kFirst = "2026-01-01T00:00:01.000000Z";
constexpr std::string_view kSecond = "2026-01-01T00:00:02.000000Z";

TEST(LogUpload, SendsLinesAsTheyAre) {
  const std::string a = entry(kFirst, "a");
  const std::string b = entry(kSecond, "b");
  EXPECT_EQ(log_upload_body(a + "\n" + b + "\n"), R"({"messages":[)" + a + "," + b + "]}");
  EXPECT_EQ(log_upload_body(a), R"({"messages":[)" + a + "]}");
}

TEST(LogUpload, ReplacesLinesThatAreNoEntries) {
  const std::string a = entry(kFirst, "a");
  const std::string invalid =
      R"x({"timestamp": "2026-01-01T00:00:01.000000Z", "level": "ERROR", "message": "(THE ORIGINAL LOGS CONTAINED INVALID ENTRIES)"})x";
  const std::string corrupted =
      R"x({"timestamp": "2026-01-01T00:00:01.000000Z", "level": "ERROR", "message": "(CORRUPTED LOG DATA)"})x";
  EXPECT_EQ(log_upload_body("{\n" + a + "\n\n"),
            R"({"messages":[)" + invalid + "," + corrupted + "," + a + "," + corrupted + "]}");
}

TEST(LogUpload, ACorruptedLineHasTheTimeOfTheEntryBeforeIt) {
  const std::string body = log_upload_body(entry(kFirst, "a") + "\n" + entry(kSecond, "b") + "\nx\n");
  EXPECT_THAT(
      body, HasSubstr(R"x({"timestamp": "2026-01-01T00:00:02.000000Z", "level": "ERROR", "message": "(C)x"));
}

TEST(LogUpload, WithoutAnyEntryTheTimeIsTheEpoch) {
  EXPECT_THAT(log_upload_body("x"), HasSubstr("1970-01-01T00:00:00.000000000Z"));
}

TEST(LogUpload, RefusesEntriesForWhichServersRefuseTheWholeLog) {
  for (const std::string_view line : {R"({})", R"([])", R"({"timestamp":"x","level":"info","message":"m"})",
                                      R"({"timestamp":"2026-01-01T00:00:01Z","level":"","message":"m"})",
                                      R"({"timestamp":"2026-01-01T00:00:01Z","level":"info","message":""})",
                                      R"({"timestamp":"2026-01-01T00:00:01Z","level":"info","message":1})"}) {
    EXPECT_THAT(log_upload_body(line), HasSubstr("CORRUPTED")) << line;
  }
}

TEST(LogUpload, LeavesTheOldestOutWhenItIsTooLarge) {
  std::string log;
  for (int i = 0; i < 100; ++i) log += entry(kFirst, fmt::format("message {}", i)) + "\n";
  const std::string body = log_upload_body(log, 2000);
  EXPECT_LE(body.size(), 2000U);
  EXPECT_GT(body.size(), 1800U);
  EXPECT_THAT(
      body, ::testing::StartsWith(R"({"messages":[{"timestamp": ")" + std::string(kFirst) +
                                  R"x(", "level": "WARNING", "message": "(THE ORIGINAL LOGS WERE TOO BIG)x"));
  EXPECT_THAT(body, HasSubstr("message 99"));
  EXPECT_THAT(body, ::testing::Not(HasSubstr("message 50\"")));
  EXPECT_TRUE(boost::json::parse(body).is_object());
}

class DeploymentLogTest : public ::testing::Test {
 protected:
  std::vector<std::string> files() { return *(*open_directory(directory_.path()))->list(); }
  std::string read(const std::string& name) { return *read_file(directory_.path() + "/" + name); }

  testing::TemporaryDirectory directory_;
  testing::FakeClock clock_;
  testing::MemoryLog next_;
  DeploymentLog log_{directory_.path(), "1.2.3", clock_, next_};
};

TEST_F(DeploymentLogTest, KeepsWhatIsLoggedBetweenBeginAndEnd) {
  log_.info("before");
  log_.begin("id1");
  log_.warn("thing.failed", {{"error", "disk \"x\""}});
  log_.debug("detail");
  const auto body = log_.body();
  log_.end();
  log_.info("after");
  EXPECT_EQ(
      read("deployments.0000.id1.log"),
      R"({"timestamp":"2026-01-01T00:00:00.000000Z","level":"info","message":"Running postern-device 1.2.3"})"
      "\n"
      R"({"timestamp":"2026-01-01T00:00:00.000000Z","level":"info","message":"Deployment with ID id1 started."})"
      "\n"
      R"({"timestamp":"2026-01-01T00:00:00.000000Z","level":"warning","message":"thing.failed error=\"disk \\\"x\\\"\""})"
      "\n");
  EXPECT_THAT(next_.lines(), ElementsAre("before", R"(thing.failed error="disk \"x\"")", "detail", "after"));
  ASSERT_TRUE(body);
  EXPECT_EQ(boost::json::parse(*body).at("messages").as_array().size(), 3U);
}

TEST_F(DeploymentLogTest, HandsOnWhatIsWrittenWithoutADeployment) {
  log_.info("event");
  EXPECT_EQ(next_.count("event"), 1U);
  EXPECT_FALSE(log_.body());
}

TEST_F(DeploymentLogTest, GoesOnWithTheFileAfterAPowerCut) {
  log_.begin("id1");
  log_.info("one");
  {
    auto file = (*open_directory(directory_.path()))->open("deployments.0000.id1.log");
    ASSERT_TRUE((*file)->write_at(*(*file)->size(), as_bytes(R"({"timest)")));
  }
  DeploymentLog again(directory_.path(), "1.2.3", clock_, next_);
  again.begin("id1");
  again.info("two");
  const std::string body = *again.body();
  EXPECT_THAT(body, HasSubstr("\"one\""));
  EXPECT_THAT(body, HasSubstr("CORRUPTED"));
  EXPECT_THAT(body, HasSubstr("\"two\""));
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(DeploymentLogTest, KeepsTheLogsOfFiveDeployments) {
  ASSERT_TRUE(write_file(directory_.path() + "/deployments.log", "other", 0600, Existing::refuse));
  for (const std::string id : {"a", "b", "c", "d", "e", "f", "g"}) {
    log_.begin(id);
    log_.end();
  }
  EXPECT_THAT(files(),
              ElementsAre("deployments.0000.g.log", "deployments.0001.f.log", "deployments.0002.e.log",
                          "deployments.0003.d.log", "deployments.0004.c.log", "deployments.log"));
  EXPECT_THAT(read("deployments.0001.f.log"), HasSubstr("ID f started"));
}

TEST_F(DeploymentLogTest, AFileThatCannotBeWrittenIsToldAndNoMore) {
  DeploymentLog log("/proc/none", "1", clock_, next_);
  log.begin("a");
  log.info("event");
  EXPECT_EQ(next_.count("deployment_log.failed"), 1U);
  EXPECT_EQ(next_.count("event"), 1U);
  EXPECT_FALSE(log.body());
}

TEST_F(DeploymentLogTest, AnIdThatIsNoFileNameIsRefused) {
  log_.begin("../x");
  EXPECT_EQ(next_.count("deployment_log.failed"), 1U);
  EXPECT_TRUE(files().empty());
}

TEST_F(DeploymentLogTest, ALongLogLosesItsOlderPart) {
  log_.begin("a");
  const std::string filler(4000, 'x');
  for (int i = 0; i < 1200; ++i) log_.info("event", {{"number", i}, {"filler", filler}});
  EXPECT_LT(read("deployments.0000.a.log").size(), DeploymentLog::kFileBytesMax + 8000);
  const std::string body = *log_.body();
  EXPECT_LE(body.size(), kLogBodyBytesMax);
  EXPECT_THAT(body, HasSubstr("number=1199"));
}

}  // namespace
}  // namespace postern::device
