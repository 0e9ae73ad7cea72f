#include "gateway/relay/rewrite.hpp"

#include <boost/json.hpp>

namespace postern::gateway {
namespace {

namespace json = boost::json;

constexpr std::string_view kInstruction =
    R"({"id":"d1","artifact":{"id":"a1","artifact_name":"spring","source":{"uri":"https://s3/b/a1?sig=1","expire":"x"},
        "device_types_compatible":["t"]},"update_control_map":{"id":"d1"}})";

TEST(Instruction, IsReadAndGetsAnotherLinkWithoutLosingAnything) {
  json::value instruction = json::parse(kInstruction);
  const auto link = read_instruction(instruction);
  ASSERT_TRUE(link) << link.error().what;
  EXPECT_EQ(link->deployment_id, "d1");
  EXPECT_EQ(link->artifact_id, "a1");
  EXPECT_EQ(link->uri, "https://s3/b/a1?sig=1");
  set_link(instruction, "https://gateway/x", "2026-01-01T00:00:00Z");
  json::value expected = json::parse(kInstruction);
  expected.at("artifact").at("source").as_object()["uri"] = "https://gateway/x";
  expected.at("artifact").at("source").as_object()["expire"] = "2026-01-01T00:00:00Z";
  EXPECT_EQ(instruction, expected);
}

TEST(Instruction, IsNotSeenInSomethingElse) {
  for (const std::string_view text :
       {"[]", "{}", R"({"id":"d","artifact":{}})", R"({"id":"d","artifact":{"source":{}}})",
        R"({"id":1,"artifact":{"source":{"uri":"u"}}})"}) {
    EXPECT_FALSE(read_instruction(json::parse(text))) << text;
  }
}

TEST(ConfigurationLink, IsToldByItsPath) {
  EXPECT_TRUE(is_configuration_link(
      *http::Url::parse("https://s/api/devices/v1/deployments/download/configuration/d/t/i?x=1")));
  EXPECT_FALSE(is_configuration_link(*http::Url::parse("https://s3/bucket/a1?sig=1")));
}

TEST(AddedAttributes, NeverOverwriteWhatTheDeviceSent) {
  const std::vector<AttributeConfig> added{{"site", "press line"}, {"hall", "4"}};
  const auto body = add_attributes(R"([{"name":"hall","value":"7"},{"name":"list","value":["a"]}])", added);
  ASSERT_TRUE(body);
  EXPECT_EQ(
      json::parse(*body),
      json::parse(
          R"([{"name":"hall","value":"7"},{"name":"list","value":["a"]},{"name":"site","value":"press line"}])"));
}

TEST(AddedAttributes, AreNotAddedToWhatIsNoInventory) {
  const std::vector<AttributeConfig> added{{"site", "x"}};
  for (const std::string_view text : {"", "{}", "[1]", R"([{"name":1}])"})
    EXPECT_FALSE(add_attributes(text, added)) << text;
}

TEST(CutLog, KeepsTheNewestMessagesThatFit) {
  std::string log = R"({"messages":[)";
  for (int i = 0; i < 100; ++i) {
    log += fmt::format(R"({}{{"level":"info","message":"{:04}"}})", i == 0 ? "" : ",", i);
  }
  log += "]}";
  const auto cut = cut_log(log, 1000);
  ASSERT_TRUE(cut);
  EXPECT_LE(cut->size(), 1000U);
  const json::value parsed = json::parse(*cut);
  const auto& messages = parsed.at("messages").as_array();
  ASSERT_GT(messages.size(), 5U);
  EXPECT_EQ(messages.back().at("message").as_string(), "0099");
  EXPECT_EQ(*cut_log(log, log.size()), log);
}

}  // namespace
}  // namespace postern::gateway
