#include "cloud/cli/session.hpp"

#include <sys/stat.h>

#include "shared/io/file.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cli {
namespace {

const Environment kNothing = [](std::string_view) { return std::optional<std::string>(); };

Environment only(std::string name, std::string value) {
  return [=](std::string_view asked) { return asked == name ? std::optional(value) : std::nullopt; };
}

TEST(SessionFile, IsKeptWhereOnlyItsOwnerReadsIt) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a/postern/session.json";
  ASSERT_TRUE(save_session(path, {.server = "https://s", .ca = "/ca", .token = "t"}));
  struct stat info{};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600);
  const auto loaded = load_session(path);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->token, "t");
}

TEST(SessionFile, ThatIsMissingIsAnEmptySession) {
  const testing::TemporaryDirectory directory;
  EXPECT_EQ(load_session(directory.path() + "/none")->server, "");
}

TEST(Session, FlagsWinOverTheEnvironmentAndBothOverTheFile) {
  const Session stored{.server = "https://s", .ca = "stored", .token = "t"};
  EXPECT_EQ(effective_session(stored, kNothing, {}).ca, "stored");
  EXPECT_EQ(effective_session(stored, only("POSTERN_CA", "env"), {}).ca, "env");
  EXPECT_EQ(
      effective_session(stored, only("POSTERN_CA", "env"), {.server = {}, .ca = "flag", .token = {}}).ca,
      "flag");
}

TEST(Session, ATokenIsNeverSentToAnotherServer) {
  const Session stored{.server = "https://s", .ca = "c", .token = "t"};
  EXPECT_EQ(effective_session(stored, kNothing, {.server = "https://s/", .ca = {}, .token = {}}).token, "t");
  EXPECT_EQ(effective_session(stored, only("POSTERN_SERVER", "https://other"), {}),
            (Session{.server = "https://other", .ca = {}, .token = {}}));
}

TEST(SessionPath, NeedsAPlace) {
  EXPECT_EQ(*session_path(only("HOME", "/h")), "/h/.config/postern/session.json");
  EXPECT_EQ(*session_path(only("XDG_CONFIG_HOME", "/x")), "/x/postern/session.json");
  EXPECT_FALSE(session_path(kNothing));
  EXPECT_FALSE(session_path(only("XDG_CONFIG_HOME", "")));
  EXPECT_FALSE(session_path(only("HOME", "relative")));
}

TEST(Session, AServerWithoutASchemeIsAnHttpsOne) {
  EXPECT_EQ(effective_session({}, kNothing, {.server = "cloud.example:8443", .ca = {}, .token = {}}).server,
            "https://cloud.example:8443");
}

TEST(SessionFile, ThatIsBrokenSaysWhatToDo) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/session.json";
  ASSERT_TRUE(write_file(path, "{", 0600, Existing::refuse));
  EXPECT_THAT(load_session(path).error().what, ::testing::HasSubstr("remove it, and log in again"));
}

}  // namespace
}  // namespace postern::cli
