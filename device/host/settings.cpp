#include "device/host/settings.hpp"

#include "shared/io/file.hpp"

namespace postern::device {
namespace {

using namespace std::chrono_literals;

constexpr Duration kIntervalMax = 10 * 365 * 24h;
constexpr std::size_t kDeviceTypeBytesMax = 64 << 10;

struct File {
  std::string path;
  bool is_default = false;
};

/// Its text; nothing for a default file that is missing.
Result<std::optional<std::string>> read(const File& file) {
  auto text = read_file(file.path, ConfigReader::kTextBytesMax);
  if (text) return std::optional(*std::move(text));
  if (file.is_default && text.error().reason == Reason::not_found) return std::optional<std::string>();
  return std::move(text).error().within("configuration");
}

/// A default file that is no JSON is skipped.
Status skip_broken(Status status, const File& file, Log& log) {
  if (status || !file.is_default) return status;
  log.warn("settings.file_skipped", {{"path", file.path}, {"error", status.error().what}});
  return {};
}

Result<ConfigReader> open_reader(const File& fallback, const File& main, Log& log) {
  POSTERN_TRY(auto reader, ConfigReader::from_text("", "mender.conf", {}));
  POSTERN_TRY(const auto fallback_text, read(fallback));
  if (fallback_text) {
    POSTERN_CHECK(skip_broken(reader.overlay(*fallback_text, fallback.path), fallback, log));
  }
  POSTERN_TRY(const auto main_text, read(main));
  if (main_text) POSTERN_CHECK(skip_broken(reader.overlay(*main_text, main.path), main, log));
  return reader;
}

Status conflict_of(std::string_view one, std::string_view other) {
  return invalid(fmt::format("mender.conf has both {} and {}: only one of them may be given", one, other));
}

/// A key that stands alone or as a list, as ServerURL and Servers do.
Status read_servers(ConfigReader& reader, Settings& settings) {
  std::string one;
  std::vector<std::string> several;
  reader.string("ServerURL", "", &one);
  reader.objects("Servers", [&several](ConfigReader& element) {
    std::string url;
    element.string("ServerURL", "", &url);
    if (!url.empty()) several.push_back(std::move(url));
  });
  if (!one.empty() && !several.empty()) return conflict_of("ServerURL", "Servers");
  if (!one.empty()) several.push_back(std::move(one));
  settings.servers = std::move(several);
  return {};
}

Status read_verify_keys(ConfigReader& reader, Settings& settings) {
  std::string one;
  reader.string("ArtifactVerifyKey", "", &one);
  reader.strings("ArtifactVerifyKeys", "", &settings.artifact_verify_keys);
  if (!one.empty() && !settings.artifact_verify_keys.empty()) {
    return conflict_of("ArtifactVerifyKey", "ArtifactVerifyKeys");
  }
  if (!one.empty()) settings.artifact_verify_keys.push_back(std::move(one));
  // Without keys every artifact is taken, so a slip in these lines must not pass for there being none.
  const bool is_meant = reader.has("ArtifactVerifyKey") || reader.has("ArtifactVerifyKeys");
  if (is_meant && settings.artifact_verify_keys.empty()) {
    return invalid("mender.conf: ArtifactVerifyKey or ArtifactVerifyKeys is there, but names no file");
  }
  for (const std::string& path : settings.artifact_verify_keys) {
    if (path.empty()) return invalid("mender.conf: ArtifactVerifyKeys: an empty path");
  }
  return {};
}

Status refuse_engines(ConfigReader& reader) {
  for (const std::string_view key : {"HttpsClient.SSLEngine", "Security.SSLEngine"}) {
    std::string engine;
    reader.string(key, "", &engine);
    if (!engine.empty()) {
      return rejected(Reason::unsupported,
                      fmt::format("mender.conf: {}: keys in hardware are not supported yet", key));
    }
  }
  return {};
}

void read_intervals(ConfigReader& reader, Settings& settings) {
  const auto interval = [&reader](std::string_view key, Duration* target) {
    reader.duration(key, "", target, 1s, kIntervalMax);
  };
  interval("UpdatePollIntervalSeconds", &settings.update_poll_interval);
  interval("InventoryPollIntervalSeconds", &settings.inventory_poll_interval);
  interval("RetryPollIntervalSeconds", &settings.retry_poll_interval);
  interval("StateScriptTimeoutSeconds", &settings.state_script_timeout);
  interval("StateScriptRetryIntervalSeconds", &settings.state_script_retry_interval);
  interval("StateScriptRetryTimeoutSeconds", &settings.state_script_retry_timeout);
  interval("ModuleTimeoutSeconds", &settings.module_timeout);
  reader.integer("RetryPollCount", "", &settings.retry_poll_count, 0, 1'000'000);
  reader.integer("RetryDownloadCount", "", &settings.retry_download_count, 1, 10'000);
}

void read_ours(ConfigReader& reader, Settings& settings) {
  reader.duration("Postern.RetryMinimumSeconds", "", &settings.retry_minimum, 1ms, kIntervalMax);
  reader.duration("Postern.DownloadRetrySeconds", "", &settings.download_retry, 1ms, kIntervalMax);
  std::vector<std::string> command = settings.reboot_command;
  reader.strings("Postern.RebootCommand", "", &command);
  if (command.empty() || !command.front().starts_with('/')) {
    reader.fail("Postern.RebootCommand", "the absolute path of a program is expected first");
  } else {
    settings.reboot_command = std::move(command);
  }
}

Status read_all_keys(ConfigReader& reader, Settings& settings) {
  POSTERN_CHECK(read_servers(reader, settings));
  POSTERN_CHECK(read_verify_keys(reader, settings));
  POSTERN_CHECK(refuse_engines(reader));
  reader.string("ServerCertificate", "", &settings.server_certificate);
  reader.boolean("SkipVerify", "", &settings.skip_verify);
  reader.string("TenantToken", "", &settings.tenant_token);
  reader.string("HttpsClient.Certificate", "", &settings.client_certificate);
  reader.string("HttpsClient.Key", "", &settings.client_key);
  reader.string("Security.AuthPrivateKey", "", &settings.auth_private_key);
  reader.string("DeviceTypeFile", "", &settings.device_type_file);
  reader.string("DeviceTier", "", &settings.device_tier);
  reader.string("UpdateLogPath", "", &settings.update_log_path);
  read_intervals(reader, settings);
  read_ours(reader, settings);
  std::string level = "info";
  reader.string("DaemonLogLevel", "", &level);
  if (const auto parsed = parse_client_log_level(level)) {
    settings.daemon_log_level = *parsed;
  } else {
    reader.fail("DaemonLogLevel", parsed.error().what);
  }
  // Update modules look for these in the same file.
  for (const std::string_view key : {"RootfsPartA", "RootfsPartB"}) (void)reader.has(key);

  constexpr std::array<std::string_view, 3> kTiers{"standard", "micro", "system"};
  if (std::ranges::find(kTiers, settings.device_tier) == kTiers.end()) {
    return invalid(fmt::format("mender.conf: DeviceTier \"{}\": known are standard, micro, system",
                               settings.device_tier));
  }
  if (settings.client_certificate.empty() != settings.client_key.empty()) {
    return invalid("mender.conf: HttpsClient needs both Certificate and Key");
  }
  return {};
}

}  // namespace

Paths Paths::from_environment(const Environment& environment) {
  Paths paths;
  const auto take = [&environment](std::string_view name, std::string& target) {
    auto value = environment(name);
    if (value && !value->empty()) target = *std::move(value);
  };
  take("MENDER_CONF_DIR", paths.configuration);
  take("MENDER_DATA_DIR", paths.data);
  take("MENDER_DATASTORE_DIR", paths.datastore);
  return paths;
}

Result<Settings> load_settings(const Paths& paths, const SettingsFiles& files, Log& log) {
  const auto file = [](const std::string& named, const std::string& directory) {
    return named.empty() ? File{directory + "/mender.conf", true} : File{named, false};
  };
  POSTERN_TRY(auto reader,
              open_reader(file(files.fallback, paths.datastore), file(files.main, paths.configuration), log));
  Settings settings;
  POSTERN_CHECK(read_all_keys(reader, settings));
  if (const Status read = reader.finish(log); !read) {
    log.warn("settings.values_ignored", {{"error", read.error().what}});
  }
  if (settings.device_type_file.empty()) settings.device_type_file = paths.datastore + "/device_type";
  if (settings.update_log_path.empty()) settings.update_log_path = paths.datastore;
  return settings;
}

Result<std::string> parse_device_type(std::string_view text) {
  constexpr std::string_view kKey = "device_type=";
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.contains('\n')) return invalid("trailing data: one line device_type=VALUE is expected");
  if (!text.starts_with(kKey)) return invalid("no line device_type=VALUE");
  text.remove_prefix(kKey.size());
  if (text.empty()) return invalid("the device type is empty");
  return std::string(text);
}

Result<std::string> read_device_type(const std::string& path) {
  auto text = read_file(path, kDeviceTypeBytesMax);
  if (!text) return std::move(text).error().within("device type");
  auto type = parse_device_type(*text);
  if (!type) return std::move(type).error().within(fmt::format("device type file {}", path));
  return type;
}

Result<LogLevel> parse_client_log_level(std::string_view text) {
  if (text == "trace" || text == "debug") return LogLevel::debug;
  if (text == "info") return LogLevel::info;
  if (text == "warning" || text == "warn") return LogLevel::warn;
  if (text == "error" || text == "fatal") return LogLevel::error;
  return invalid(
      fmt::format("unknown log level \"{}\"; known are trace, debug, info, warning, error, fatal", text));
}

}  // namespace postern::device
