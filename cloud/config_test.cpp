#include "cloud/config.hpp"

#include "shared/io/file.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::cloud {
namespace {

Environment only(std::string name, std::string value) {
  return [=](std::string_view asked) { return asked == name ? std::optional(value) : std::nullopt; };
}

const Environment kNothing = [](std::string_view) { return std::optional<std::string>(); };

class CloudConfigTest : public ::testing::Test {
 protected:
  std::string file(std::string_view text) {
    const std::string path = directory_.path() + "/cloud.json";
    EXPECT_TRUE(write_file(path, text, 0600, Existing::replace));
    return path;
  }
  testing::TemporaryDirectory directory_;
  testing::MemoryLog log_;
};

TEST_F(CloudConfigTest, TheEnvironmentWinsOverTheFile) {
  const auto config = load_config(file(R"({"Listen":"a:1","LinkLifetime":"30m"})"),
                                  only("POSTERN_CLOUD_LISTEN", "b:2"), log_);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->listen, "b:2");
  EXPECT_EQ(config->link_lifetime, std::chrono::minutes(30));
}

TEST_F(CloudConfigTest, UnknownKeysWarn) {
  ASSERT_TRUE(load_config(file(R"({"Lisen":"a:1"})"), kNothing, log_));
  EXPECT_EQ(log_.count("config.key_unknown"), 1);
}

TEST_F(CloudConfigTest, EveryWrongKeyIsNamed) {
  const auto config =
      load_config(file(R"({"Threads":-1,"LogLevel":"loud","LogFormat":"xml","Listen":1})"), kNothing, log_);
  ASSERT_FALSE(config);
  for (const char* key : {"Threads", "LogLevel", "LogFormat", "Listen"}) {
    EXPECT_TRUE(config.error().what.contains(key)) << config.error().what;
  }
}

TEST_F(CloudConfigTest, ARevocationListNeedsItsAuthority) {
  const auto config = load_config("", only("POSTERN_CLOUD_GATEWAY_CRL", "list"), log_);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->gateway_crl, "list");
  Config complete{.data_directory = "d", .certificate = "c", .key = "k", .gateway_crl = config->gateway_crl};
  EXPECT_FALSE(check_complete(complete));
  complete.gateway_ca = "ca";
  EXPECT_TRUE(check_complete(complete));
}

TEST_F(CloudConfigTest, SaysWhatIsMissing) {
  const auto complete = check_complete({.data_directory = "d", .certificate = "c"});
  ASSERT_FALSE(complete);
  EXPECT_TRUE(complete.error().what.contains("--key"));
}

}  // namespace
}  // namespace postern::cloud
