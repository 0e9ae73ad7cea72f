#include "shared/base/config.hpp"

#include "shared/testing/memory_log.hpp"

namespace postern {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Environment environment(std::map<std::string, std::string, std::less<>> variables) {
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

ConfigReader reader_of(std::string_view text, Environment variables = {}) {
  auto reader = ConfigReader::from_text(text, "test.conf", std::move(variables));
  if (!reader) throw std::logic_error(reader.error().what);
  return *std::move(reader);
}

/// What finish() complains of.
std::string problems(ConfigReader& reader) {
  NullLog log;
  const auto status = reader.finish(log);
  return status ? "" : status.error().what;
}

TEST(Config, BindsEveryKindOfValue) {
  auto reader = reader_of(R"({
    "HTTPS": {"Listen": ":443", "Enabled": true},
    "Limit": 7, "Poll": "1h30m", "Wait": 90, "Hosts": ["a", "b"]})");
  std::string listen;
  bool is_enabled = false;
  std::uint16_t limit = 0;
  std::chrono::seconds poll{};
  Duration wait{};
  std::vector<std::string> hosts;
  reader.string("HTTPS.Listen", "", &listen);
  reader.boolean("HTTPS.Enabled", "", &is_enabled);
  reader.integer("Limit", "", &limit);
  reader.duration("Poll", "", &poll);
  reader.duration("Wait", "", &wait);
  reader.strings("Hosts", "", &hosts);
  EXPECT_EQ(problems(reader), "");
  EXPECT_EQ(listen, ":443");
  EXPECT_TRUE(is_enabled);
  EXPECT_EQ(limit, 7);
  EXPECT_EQ(poll, 90min);
  EXPECT_EQ(wait, 90s);
  EXPECT_THAT(hosts, ElementsAre("a", "b"));
}

TEST(Config, LeavesDefaultsWhereAKeyIsAbsentOrNull) {
  auto reader = reader_of(R"({"Limit": null, "HTTPS": null})");
  int limit = 3;
  std::string listen = ":8443";
  std::vector<std::string> hosts{"default"};
  reader.integer("Limit", "", &limit);
  reader.string("HTTPS.Listen", "", &listen);
  reader.strings("Hosts", "", &hosts);
  EXPECT_EQ(problems(reader), "");
  EXPECT_EQ(limit, 3);
  EXPECT_EQ(listen, ":8443");
  EXPECT_THAT(hosts, ElementsAre("default"));
}

TEST(Config, TakesAnEmptyTextAsAnEmptyObject) {
  auto reader = reader_of(" \n");
  EXPECT_FALSE(reader.has("Limit"));
  EXPECT_EQ(problems(reader), "");
}

TEST(Config, LetsTheEnvironmentWin) {
  auto reader = reader_of(R"({"HTTPS": {"Listen": ":443", "Enabled": true}, "Limit": 7, "Poll": "1h"})",
                          environment({{"HTTPS_LISTEN", ":8443"},
                                       {"HTTPS_ENABLED", "False"},
                                       {"LIMIT", "9"},
                                       {"POLL", "30m"},
                                       {"HOSTS", "a.example, b.example  c.example"}}));
  std::string listen;
  bool is_enabled = true;
  int limit = 0;
  Duration poll{};
  std::vector<std::string> hosts;
  reader.string("HTTPS.Listen", "HTTPS_LISTEN", &listen);
  reader.boolean("HTTPS.Enabled", "HTTPS_ENABLED", &is_enabled);
  reader.integer("Limit", "LIMIT", &limit);
  reader.duration("Poll", "POLL", &poll);
  reader.strings("Hosts", "HOSTS", &hosts);
  testing::MemoryLog log;
  EXPECT_TRUE(reader.finish(log));
  EXPECT_THAT(log.lines(), IsEmpty()) << "an overridden key is known all the same";
  EXPECT_EQ(listen, ":8443");
  EXPECT_FALSE(is_enabled);
  EXPECT_EQ(limit, 9);
  EXPECT_EQ(poll, 30min);
  EXPECT_THAT(hosts, ElementsAre("a.example", "b.example", "c.example"));
}

TEST(Config, TakesAnEmptyVariableAsUnset) {
  auto reader = reader_of(R"({"Listen": ":443"})", environment({{"LISTEN", ""}}));
  std::string listen;
  reader.string("Listen", "LISTEN", &listen);
  EXPECT_EQ(listen, ":443");
}

TEST(Config, PrefersTheExactNameAndAcceptsAnyLetterCase) {
  auto reader = reader_of(R"({"serverurl": "lower", "ServerURL": "exact", "https": {"LISTEN": ":1"}})");
  std::string url;
  std::string listen;
  reader.string("ServerURL", "", &url);
  reader.string("HTTPS.Listen", "", &listen);
  EXPECT_EQ(url, "exact");
  EXPECT_EQ(listen, ":1");
  testing::MemoryLog log;
  EXPECT_TRUE(reader.finish(log));
  EXPECT_THAT(log.lines(), ElementsAre("config.key_unknown source=test.conf key=serverurl"));
}

TEST(Config, WarnsOfKeysThatNothingAskedForWithTheirPath) {
  auto reader = reader_of(R"({"HTTPS": {"Listen": ":443", "Lissten": 1}, "Other": {"A": {"B": 1}},
                              "Servers": [{"URL": "u", "Weight": 1}], "Hosts": ["a"]})");
  std::string text;
  std::vector<std::string> hosts;
  reader.string("HTTPS.Listen", "", &text);
  reader.strings("Hosts", "", &hosts);
  reader.objects("Servers", [&](ConfigReader& server) { server.string("URL", "", &text); });
  testing::MemoryLog log;
  EXPECT_TRUE(reader.finish(log));
  EXPECT_THAT(log.lines(), ElementsAre("config.key_unknown source=test.conf key=HTTPS.Lissten",
                                       "config.key_unknown source=test.conf key=Other",
                                       "config.key_unknown source=test.conf key=Servers[0].Weight"));
}

TEST(Config, NamesTheKeyOfEveryWrongType) {
  auto reader = reader_of(R"({"A": {"Text": 1}, "Flag": "yes", "Number": "7", "Wait": true,
                              "List": ["a", 2], "Objects": [1], "Servers": {}})");
  std::string text = "default";
  bool flag = false;
  int number = 0;
  Duration wait{};
  std::vector<std::string> list;
  reader.string("A.Text", "", &text);
  reader.boolean("Flag", "", &flag);
  reader.integer("Number", "", &number, 0, 9);
  reader.duration("Wait", "", &wait);
  reader.strings("List", "", &list);
  reader.objects("Objects", [](ConfigReader&) { ADD_FAILURE(); });
  reader.objects("Servers", [](ConfigReader&) { ADD_FAILURE(); });
  EXPECT_EQ(problems(reader),
            "test.conf: A.Text: a string is expected, not a number; "
            "test.conf: Flag: a boolean is expected, not a string; "
            "test.conf: Number: an integer from 0 to 9 is expected, not a string; "
            "test.conf: Wait: a duration of at least 0 s is expected, not a boolean; "
            "test.conf: List[1]: a string is expected, not a number; "
            "test.conf: Objects[0]: an object is expected, not a number; "
            "test.conf: Servers: an array of objects is expected, not an object");
  EXPECT_EQ(text, "default");
}

TEST(Config, TellsOnceThatAParentIsNoObject) {
  auto reader = reader_of(R"({"HTTPS": 7})");
  std::string text;
  reader.string("HTTPS.Listen", "", &text);
  reader.string("HTTPS.Key", "", &text);
  EXPECT_EQ(problems(reader), "test.conf: HTTPS: an object is expected, not a number");
}

TEST(Config, NamesTheVariableThatCannotBeRead) {
  auto reader =
      reader_of("{}", environment({{"FLAG", "maybe"}, {"LIMIT", "7x"}, {"WAIT", "soon"}, {"BIG", "300"}}));
  bool flag = true;
  int limit = 1;
  Duration wait{};
  std::uint8_t big = 0;
  reader.boolean("Flag", "FLAG", &flag);
  reader.integer("Limit", "LIMIT", &limit, 1, 9);
  reader.duration("Wait", "WAIT", &wait, 1s, 60s);
  reader.integer("Big", "BIG", &big);
  EXPECT_EQ(problems(reader),
            "environment variable FLAG: true or false is expected; "
            "environment variable LIMIT: an integer from 1 to 9 is expected; "
            "environment variable WAIT: a duration from 1 to 60 s is expected; "
            "environment variable BIG: an integer from 0 to 255 is expected");
}

TEST(Config, RefusesNumbersOutOfRange) {
  auto reader =
      reader_of(R"({"Low": 0, "High": 10, "Fraction": 1.5, "Huge": 18446744073709551615, "Wait": 0.5,
                              "Long": "1h", "Fits": 9223372036854775807})");
  int value = 5;
  std::uint64_t large = 0;
  Duration wait{};
  reader.integer("Low", "", &value, 1, 9);
  reader.integer("High", "", &value, 1, 9);
  reader.integer("Fraction", "", &value, 1, 9);
  reader.integer("Huge", "", &large);
  reader.duration("Wait", "", &wait, 1s);
  reader.duration("Long", "", &wait, 1s, 30min);
  const std::string found = problems(reader);
  for (const char* key : {"Low", "High", "Fraction", "Huge", "Wait", "Long"})
    EXPECT_THAT(found, HasSubstr(key));
  EXPECT_EQ(value, 5);
  reader.integer("Fits", "", &large);
  EXPECT_EQ(large, 9223372036854775807U);
}

TEST(Config, ReadsObjectsOfAnArrayEachInItsOwnScope) {
  auto reader = reader_of(R"({"Servers": [{"URL": "a"}, {"URL": 2}], "URL": "root"})");
  std::vector<std::string> urls;
  reader.objects("Servers", [&](ConfigReader& server) {
    std::string url = "default";
    server.string("URL", "", &url);
    if (url == "a") server.fail("URL", "is not liked");
    urls.push_back(url);
  });
  std::string root;
  reader.string("URL", "", &root);
  EXPECT_THAT(urls, ElementsAre("a", "default"));
  EXPECT_EQ(root, "root");
  EXPECT_EQ(problems(reader),
            "test.conf: Servers[0].URL: is not liked; "
            "test.conf: Servers[1].URL: a string is expected, not a number");
}

TEST(Config, LaysOneFileOverAnother) {
  auto reader =
      reader_of(R"({"ServerURL": "fallback", "Kept": "yes", "HTTPS": {"Listen": ":1", "Key": "k"}})");
  ASSERT_TRUE(reader.overlay(R"({"serverURL": "main", "HTTPS": {"Listen": ":2"}})", "main.conf"));
  std::string url;
  std::string kept;
  std::string listen;
  std::string key = "default";
  reader.string("ServerURL", "", &url);
  reader.string("Kept", "", &kept);
  reader.string("HTTPS.Listen", "", &listen);
  reader.string("HTTPS.Key", "", &key);
  EXPECT_EQ(url, "main");
  EXPECT_EQ(kept, "yes");
  EXPECT_EQ(listen, ":2");
  EXPECT_EQ(key, "default") << "members of the root are replaced whole";
  EXPECT_FALSE(reader.overlay("[", "broken.conf"));
}

TEST(Config, TellsLineAndColumnOfASyntaxError) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{\n  \"A\": 1,\n  \"B\": x\n}", "test.conf: line 3, column 8: "},
      {"{\"A\" 1}", "test.conf: line 1, column 6: "},
      {"{\"A\": 1}\n}", "test.conf: line 2, column 1: "},
      {"{\"A\": 1", "test.conf: line 1, column 8: "}};
  for (const auto& [text, expected] : cases) {
    const auto reader = ConfigReader::from_text(text, "test.conf", {});
    ASSERT_FALSE(reader) << text;
    EXPECT_EQ(reader.error().reason, Reason::invalid);
    EXPECT_THAT(reader.error().what, ::testing::StartsWith(expected));
  }
}

TEST(Config, RefusesWhatIsTooLargeTooDeepOrNoObject) {
  EXPECT_EQ(
      ConfigReader::from_text(std::string(ConfigReader::kTextBytesMax + 1, ' '), "c", {}).error().reason,
      Reason::too_large);
  EXPECT_FALSE(
      ConfigReader::from_text(R"({"A":)" + std::string(100, '[') + std::string(100, ']') + "}", "c", {}));
  EXPECT_EQ(ConfigReader::from_text("[1]", "c", {}).error().what, "c: the root is no object");
}

TEST(Duration, IsReadWithAndWithoutUnits) {
  EXPECT_EQ(*parse_duration("90"), 90s);
  EXPECT_EQ(*parse_duration("0"), 0s);
  EXPECT_EQ(*parse_duration("30m"), 30min);
  EXPECT_EQ(*parse_duration("24h"), 24h);
  EXPECT_EQ(*parse_duration("7d"), 168h);
  EXPECT_EQ(*parse_duration("1h30m15s"), 1h + 30min + 15s);
  EXPECT_EQ(*parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(*parse_duration("250ms"), 250ms);
}

TEST(Duration, RefusesWhatIsNone) {
  for (const char* text :
       {"", "m", "-5s", "5 m", "1h30", "30x", "1e3", "inf", "nan", "99999999999999h", "5s ", " 5s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

}  // namespace
}  // namespace postern
