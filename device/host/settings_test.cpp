#include "device/host/settings.hpp"

#include <filesystem>

#include "shared/io/file.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() {
    std::filesystem::create_directory(paths_.configuration);
    std::filesystem::create_directory(paths_.datastore);
  }
  static void write(const std::string& path, std::string_view text) {
    ASSERT_TRUE(write_file(path, text, 0600, Existing::replace));
  }
  Result<Settings> load(std::string_view main) {
    write(paths_.configuration + "/mender.conf", main);
    return load_settings(paths_, {}, log_);
  }
  std::string error_of(std::string_view main) {
    const auto settings = load(main);
    return settings ? "" : settings.error().what;
  }

  testing::TemporaryDirectory directory_;
  Paths paths_{directory_.path() + "/etc", directory_.path() + "/share", directory_.path() + "/lib"};
  testing::MemoryLog log_;
};

TEST_F(SettingsTest, MissingDefaultFilesLeaveTheDefaults) {
  const auto settings = load_settings(paths_, {}, log_);
  ASSERT_TRUE(settings);
  EXPECT_THAT(settings->servers, IsEmpty());
  EXPECT_EQ(settings->update_poll_interval, 30min);
  EXPECT_EQ(settings->inventory_poll_interval, 8h);
  EXPECT_EQ(settings->retry_download_count, 10);
  EXPECT_EQ(settings->device_tier, "standard");
  EXPECT_EQ(settings->device_type_file, paths_.datastore + "/device_type");
  EXPECT_EQ(settings->update_log_path, paths_.datastore);
}

TEST_F(SettingsTest, ReadsEveryKey) {
  const auto settings = load(R"({
    "Servers": [{"ServerURL": "https://a"}, {"ServerURL": ""}, {"ServerURL": "https://b"}],
    "ServerCertificate": "/ca", "SkipVerify": true, "TenantToken": "t",
    "HttpsClient": {"Certificate": "/c", "Key": "/k"}, "Security": {"AuthPrivateKey": "/p"},
    "ArtifactVerifyKeys": ["/1", "/2"], "DeviceTypeFile": "/type", "DeviceTier": "micro",
    "UpdatePollIntervalSeconds": 5, "InventoryPollIntervalSeconds": 6, "RetryPollIntervalSeconds": 7,
    "RetryPollCount": 8, "RetryDownloadCount": 9, "StateScriptTimeoutSeconds": 10,
    "StateScriptRetryIntervalSeconds": 11, "StateScriptRetryTimeoutSeconds": 12, "ModuleTimeoutSeconds": 13,
    "UpdateLogPath": "/log", "DaemonLogLevel": "warning", "RootfsPartA": "/dev/a", "RootfsPartB": "/dev/b",
    "Postern": {"RetryMinimumSeconds": 0.5, "DownloadRetrySeconds": 2, "RebootCommand": ["/bin/true", "x"]}})");
  ASSERT_TRUE(settings) << settings.error().what;
  EXPECT_THAT(settings->servers, ElementsAre("https://a", "https://b"));
  EXPECT_EQ(settings->server_certificate, "/ca");
  EXPECT_TRUE(settings->skip_verify);
  EXPECT_EQ(settings->tenant_token, "t");
  EXPECT_EQ(settings->client_certificate, "/c");
  EXPECT_EQ(settings->client_key, "/k");
  EXPECT_EQ(settings->auth_private_key, "/p");
  EXPECT_THAT(settings->artifact_verify_keys, ElementsAre("/1", "/2"));
  EXPECT_EQ(settings->device_type_file, "/type");
  EXPECT_EQ(settings->device_tier, "micro");
  EXPECT_EQ(settings->update_poll_interval, 5s);
  EXPECT_EQ(settings->inventory_poll_interval, 6s);
  EXPECT_EQ(settings->retry_poll_interval, 7s);
  EXPECT_EQ(settings->retry_poll_count, 8);
  EXPECT_EQ(settings->retry_download_count, 9);
  EXPECT_EQ(settings->state_script_timeout, 10s);
  EXPECT_EQ(settings->state_script_retry_interval, 11s);
  EXPECT_EQ(settings->state_script_retry_timeout, 12s);
  EXPECT_EQ(settings->module_timeout, 13s);
  EXPECT_EQ(settings->update_log_path, "/log");
  EXPECT_EQ(settings->daemon_log_level, LogLevel::warn);
  EXPECT_EQ(settings->retry_minimum, 500ms);
  EXPECT_EQ(settings->download_retry, 2s);
  EXPECT_THAT(settings->reboot_command, ElementsAre("/bin/true", "x"));
  EXPECT_THAT(log_.lines(), IsEmpty());
}

TEST_F(SettingsTest, TheMainFileWinsOverTheFallbackKeyByKey) {
  write(paths_.datastore + "/mender.conf", R"({"TenantToken": "old", "ServerURL": "https://a"})");
  const auto settings = load(R"({"tenanttoken": "new"})");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->tenant_token, "new");
  EXPECT_THAT(settings->servers, ElementsAre("https://a"));
}

TEST_F(SettingsTest, SkipsADefaultFileThatIsNoJson) {
  write(paths_.datastore + "/mender.conf", R"({"TenantToken": "t"})");
  const auto settings = load("{");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->tenant_token, "t");
  EXPECT_EQ(log_.count("settings.file_skipped"), 1U);
}

TEST_F(SettingsTest, AFileNamedByTheOperatorHasToLoad) {
  EXPECT_FALSE(load_settings(paths_, {.main = directory_.path() + "/none"}, log_));
  write(directory_.path() + "/broken", "{");
  EXPECT_FALSE(load_settings(paths_, {.fallback = directory_.path() + "/broken"}, log_));
  write(directory_.path() + "/good", R"({"TenantToken": "t"})");
  EXPECT_EQ(load_settings(paths_, {.main = directory_.path() + "/good"}, log_)->tenant_token, "t");
}

TEST_F(SettingsTest, IgnoresValuesOfAWrongTypeWithAWarning) {
  const auto settings = load(R"({"UpdatePollIntervalSeconds": {}, "RetryDownloadCount": 0, "TenantToken": "t",
                                 "Postern": {"RebootCommand": ["reboot"]}})");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->update_poll_interval, 30min);
  EXPECT_EQ(settings->retry_download_count, 10);
  EXPECT_EQ(settings->tenant_token, "t");
  EXPECT_THAT(settings->reboot_command, ElementsAre("/sbin/reboot"));
  EXPECT_EQ(log_.count("settings.values_ignored"), 1U);
}

TEST_F(SettingsTest, WarnsOfUnknownKeys) {
  ASSERT_TRUE(load(R"({"Serverurl": "https://a", "Pollinterval": 3})"));
  ASSERT_EQ(log_.lines().size(), 1U);
  EXPECT_THAT(log_.lines().front(), HasSubstr("key=Pollinterval"));
}

TEST_F(SettingsTest, RefusesWhatTwoKeysSayDifferently) {
  EXPECT_THAT(error_of(R"({"ServerURL": "https://a", "Servers": [{"ServerURL": "https://b"}]})"),
              HasSubstr("both ServerURL and Servers"));
  EXPECT_THAT(error_of(R"({"ArtifactVerifyKey": "/a", "ArtifactVerifyKeys": ["/b"]})"),
              HasSubstr("both ArtifactVerifyKey and ArtifactVerifyKeys"));
}

TEST_F(SettingsTest, NeverTakesASlipForHavingNoVerifyKeys) {
  EXPECT_NE(error_of(R"({"ArtifactVerifyKey": 1})"), "");
  EXPECT_NE(error_of(R"({"ArtifactVerifyKeys": "/a"})"), "");
  EXPECT_NE(error_of(R"({"ArtifactVerifyKeys": []})"), "");
  EXPECT_NE(error_of(R"({"ArtifactVerifyKeys": [""]})"), "");
  EXPECT_THAT(load(R"({"ArtifactVerifyKey": "/a"})")->artifact_verify_keys, ElementsAre("/a"));
}

TEST_F(SettingsTest, RefusesWhatIsNotSupported) {
  EXPECT_THAT(error_of(R"({"HttpsClient": {"SSLEngine": "pkcs11"}})"), HasSubstr("not supported yet"));
  EXPECT_THAT(error_of(R"({"Security": {"SSLEngine": "pkcs11"}})"), HasSubstr("not supported yet"));
  EXPECT_THAT(error_of(R"({"DeviceTier": "big"})"), HasSubstr("DeviceTier"));
  EXPECT_THAT(error_of(R"({"HttpsClient": {"Certificate": "/c"}})"), HasSubstr("both Certificate and Key"));
}

TEST_F(SettingsTest, TakesDirectoriesFromTheEnvironment) {
  const auto paths = Paths::from_environment([](std::string_view name) -> std::optional<std::string> {
    if (name == "MENDER_CONF_DIR") return "/c";
    if (name == "MENDER_DATA_DIR") return "";
    if (name == "MENDER_DATASTORE_DIR") return "/s";
    return std::nullopt;
  });
  EXPECT_EQ(paths.configuration, "/c");
  EXPECT_EQ(paths.identity_script(), "/usr/share/mender/identity/mender-device-identity");
  EXPECT_EQ(paths.device_key(), "/s/mender-agent.pem");
}

TEST(DeviceType, IsOneLine) {
  EXPECT_EQ(*parse_device_type("device_type=x"), "x");
  EXPECT_EQ(*parse_device_type("device_type=x\n"), "x");
  EXPECT_EQ(*parse_device_type("device_type= x y\n"), " x y");
  for (const std::string_view bad : {"", "\n", "device_type=", "device_type=\n", "device_type=x\n\n",
                                     "device_type=x\ny=z", "\ndevice_type=x", "type=x", " device_type=x"}) {
    EXPECT_FALSE(parse_device_type(bad)) << bad;
  }
}

TEST_F(SettingsTest, TellsWhichDeviceTypeFileIsWrong) {
  const auto missing = read_device_type(directory_.path() + "/type");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, Reason::not_found);
  write(directory_.path() + "/type", "x");
  EXPECT_THAT(read_device_type(directory_.path() + "/type").error().what, HasSubstr(directory_.path()));
}

}  // namespace
}  // namespace postern::device
