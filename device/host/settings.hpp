// What mender.conf says, and where a device keeps its files (device-client 2 and 3).
#pragma once

#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/base/config.hpp"
#include "shared/base/log.hpp"

namespace postern::device {

/// The directories of a device.
struct Paths {
  std::string configuration = "/etc/mender";  ///< MENDER_CONF_DIR
  std::string data = "/usr/share/mender";     ///< MENDER_DATA_DIR
  std::string datastore = "/var/lib/mender";  ///< MENDER_DATASTORE_DIR

  static Paths from_environment(const Environment& environment);

  std::string identity_script() const { return data + "/identity/mender-device-identity"; }
  std::string inventory_directory() const { return data + "/inventory"; }
  std::string module_directory() const { return data + "/modules/v3"; }
  /// Where update modules work; one payload only, so it is always the first.
  std::string module_tree() const { return datastore + "/modules/v3/payloads/0000/tree"; }
  std::string device_key() const { return datastore + "/mender-agent.pem"; }
};

/// mender.conf. Paths are as written there.
struct Settings {
  std::vector<std::string> servers;  ///< URLs, tried in this order; may be empty
  std::string server_certificate;    ///< file with more authorities for servers, beside the system's
  bool skip_verify = false;          ///< of server certificates
  std::string tenant_token;
  std::string client_certificate;                 ///< HttpsClient.Certificate: file for mutual TLS
  std::string client_key;                         ///< HttpsClient.Key
  std::string auth_private_key;                   ///< Security.AuthPrivateKey: file of a key made elsewhere
  std::vector<std::string> artifact_verify_keys;  ///< files; empty: signatures are not asked for
  std::string device_type_file;
  std::string device_tier = "standard";  ///< standard, micro or system

  Duration update_poll_interval = std::chrono::seconds(1800);
  Duration inventory_poll_interval = std::chrono::seconds(28800);
  Duration retry_poll_interval = std::chrono::seconds(300);  ///< the longest of the back-off
  int retry_poll_count = 0;                                  ///< 0: derived from the interval
  int retry_download_count = 10;
  Duration state_script_timeout = std::chrono::seconds(3600);
  Duration state_script_retry_interval = std::chrono::seconds(60);
  Duration state_script_retry_timeout = std::chrono::seconds(1800);
  Duration module_timeout = std::chrono::seconds(14400);
  std::string update_log_path;  ///< directory of deployment logs
  LogLevel daemon_log_level = LogLevel::info;

  // Ours, under "Postern".
  Duration retry_minimum = std::chrono::seconds(60);   ///< RetryMinimumSeconds: the shortest of the back-off
  Duration download_retry = std::chrono::seconds(60);  ///< DownloadRetrySeconds: before a download goes on
  std::vector<std::string> reboot_command = {"/sbin/reboot"};  ///< RebootCommand: path and arguments
};

/// Files named on the command line, which have to be there; empty: the default ones, which may be missing.
struct SettingsFiles {
  std::string main;      ///< instead of <configuration>/mender.conf
  std::string fallback;  ///< instead of <datastore>/mender.conf
};

/// Reads the fallback file and lays the main file over it, one key of the root at a time. As other clients
/// do, it skips a default file that is no JSON, and values of a wrong type, with a warning: a device has to
/// come up to be told better. What the device would be less safe without is an error all the same. Errors:
/// invalid (also for what two keys say differently, and for keys that are not supported yet), not_found,
/// transient.
Result<Settings> load_settings(const Paths& paths, const SettingsFiles& files, Log& log);

/// The value in a device_type file: one line `device_type=VALUE` and nothing else (device-client 3).
/// Errors: not_found, invalid.
Result<std::string> read_device_type(const std::string& path);
Result<std::string> parse_device_type(std::string_view text);

/// The levels of mender.conf and of --log-level: trace, debug, info, warning, error, fatal. Errors: invalid.
Result<LogLevel> parse_client_log_level(std::string_view text);

}  // namespace postern::device
