// What postern-gateway can be told: mender-gateway.conf with its environment (device-protocol 8.2), and our
// own keys under "Postern".
#pragma once

#include <string>
#include <vector>

#include "gateway/admission/binding.hpp"
#include "gateway/traffic/calendar.hpp"
#include "shared/base/config.hpp"
#include "shared/http/proxy.hpp"

namespace postern::gateway {

struct ListenerConfig {
  bool enabled = false;
  std::string listen;
};

struct AttributeConfig {
  std::string name;
  std::string value;
};

/// How long devices may take.
struct DeadlineConfig {
  std::chrono::milliseconds handshake = std::chrono::seconds(30);
  std::chrono::milliseconds head = std::chrono::seconds(30);      ///< of a request, from its first byte
  std::chrono::milliseconds idle = std::chrono::minutes(3);       ///< between requests
  std::chrono::milliseconds progress = std::chrono::seconds(60);  ///< for one piece of a body, in or out
  std::chrono::milliseconds body = std::chrono::minutes(5);       ///< of a request, or of an answer, in all
};

struct Config {
  // Features
  bool proxies_artifacts = false;
  std::string gateway_url;  ///< how devices reach us; links begin with it
  std::vector<std::string> domain_whitelist;
  bool caches_artifacts = false;
  std::string cache_path = "/var/cache/postern-gateway";
  std::string signature_secret;  ///< base64; empty: one is made and kept
  std::chrono::seconds link_lifetime = std::chrono::hours(24);
  bool mtls = false;
  std::string device_ca;  ///< PEM, may hold several
  std::string mender_username;
  std::string mender_password;
  std::string blacklist_path;
  bool ignore_device_expiry = false;
  bool device_system = false;
  std::string system_id;
  std::vector<AttributeConfig> default_inventory;

  // Listeners
  ListenerConfig http{.enabled = false, .listen = ":80"};
  ListenerConfig https{.enabled = false, .listen = ":443"};
  ListenerConfig metrics{.enabled = false, .listen = "127.0.0.1:9102"};
  std::string minimum_tls_version = "1.2";
  std::string server_certificate;
  std::string server_key;

  // Upstream
  std::string upstream_url;
  std::string upstream_ca;
  bool upstream_insecure = false;

  // Postern
  std::string state_directory = "/var/lib/postern-gateway";
  std::string upstream_certificate;  ///< our own, for postern-cloud
  std::string upstream_key;
  std::vector<std::string> upstream_urls;  ///< upstream_url first, then those that stand in for it
  http::ProxySettings upstream_proxies;
  std::chrono::seconds upstream_return_after = std::chrono::minutes(5);
  std::size_t tunnels_max = 4096;
  std::chrono::seconds tunnel_idle_max = std::chrono::minutes(10);
  DeadlineConfig deadlines;
  std::vector<std::string> device_cas;   ///< further files
  std::vector<std::string> device_crls;  ///< files, or directories of files
  bool require_crl = false;
  Rebinding rebinding = Rebinding::same_subject;
  std::string binding_name_field;  ///< empty: a certificate is known by its key
  std::string approved_path;       ///< fingerprints that may take over an identity, one per line
  std::uint64_t cache_bytes_max = std::uint64_t{16} << 30;
  std::uint64_t cache_segment_bytes = std::uint64_t{1} << 30;
  bool serves_verified_only = false;
  unsigned cache_keep_last = 0;
  std::chrono::seconds scrub_interval = std::chrono::days(7);  ///< zero: never
  std::chrono::seconds cache_retry_pause = std::chrono::minutes(1);
  std::vector<std::string> artifact_verify_keys;  ///< PEM files, or directories of them
  std::uint64_t free_bytes_min = std::uint64_t{256} << 20;
  /// Where operators' commands ask; empty in the file: see control_sockets().
  std::string control_socket;
  Calendar uplink_calendar;              ///< rates of what comes from the upstream
  Calendar site_calendar;                ///< rates of what goes to the devices
  std::string time_zone;                 ///< in which they count; empty: the machine's
  std::size_t downloads_max = 10'000;    ///< at a time; 0: no bound
  std::size_t connections_max = 10'000;  ///< of devices
  std::size_t handshakes_max = 64;       ///< at a time, for each thread
  unsigned threads = 0;
  unsigned pool_threads = 2;
  std::chrono::seconds stop_grace{10};
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::logfmt;
};

/// Reads the file, if there is one, and the environment. Errors: invalid, with everything that is wrong;
/// not_found.
Result<Config> load_config(const std::string& path, const Environment& environment, Log& log);

/// Where a gateway may listen for the operator's commands, the likeliest first: what is configured, or the
/// service manager's directory for what runs, or the state directory. The gateway itself takes the first.
std::vector<std::string> control_sockets(const Config& config, const Environment& environment);

/// Whether this can be run. Errors: invalid, naming the missing key.
Status check_complete(const Config& config);

}  // namespace postern::gateway
