#include "gateway/config.hpp"

#include "shared/io/file.hpp"

namespace postern::gateway {

using namespace std::chrono_literals;

namespace {

void read_features(ConfigReader& reader, Config& config) {
  reader.boolean("Features.ArtifactsProxy.Enabled", "ARTIFACTS_PROXY_ENABLED", &config.proxies_artifacts);
  reader.string("Features.ArtifactsProxy.GatewayURL", "ARTIFACTS_PROXY_GATEWAY_URL", &config.gateway_url);
  reader.strings("Features.ArtifactsProxy.DomainWhitelist", "ARTIFACTS_PROXY_DOMAIN_WHITELIST",
                 &config.domain_whitelist);
  const std::string cache = "Features.ArtifactsProxy.ArtifactsCache.";
  reader.boolean(cache + "Enabled", "ARTIFACTS_PROXY_CACHE_ENABLED", &config.caches_artifacts);
  reader.string(cache + "Path", "ARTIFACTS_PROXY_CACHE_PATH", &config.cache_path);
  reader.string(cache + "SignatureSecret", "ARTIFACTS_PROXY_CACHE_SECRET", &config.signature_secret);
  reader.duration(cache + "LinkExpireDuration", "ARTIFACTS_PROXY_CACHE_LINK_EXPIRE_DURATION",
                  &config.link_lifetime, 1s, 7 * 24h);
  reader.boolean("Features.mTLS.Enabled", "MTLS_ENABLED", &config.mtls);
  reader.string("Features.mTLS.CACertificate", "MTLS_CA_CERTIFICATE", &config.device_ca);
  reader.string("Features.mTLS.MenderUsername", "MTLS_MENDER_USERNAME", &config.mender_username);
  reader.string("Features.mTLS.MenderPassword", "MTLS_MENDER_PASSWORD", &config.mender_password);
  reader.string("Features.mTLS.BlacklistPath", "MTLS_BLACKLIST_PATH", &config.blacklist_path);
  reader.boolean("Features.mTLS.InsecureSkipClientExpireAfter", "MTLS_INSECURE_SKIP_CLIENT_EXPIRE_AFTER",
                 &config.ignore_device_expiry);
  // Preauthorizations are always remembered; the key is known so that nobody is warned of it.
  bool remembers = true;
  reader.boolean("Features.mTLS.EnableCache", "MTLS_ENABLE_CACHE", &remembers);
  reader.boolean("Features.DeviceSystem.Enabled", "DEVICE_SYSTEM_ENABLED", &config.device_system);
  reader.string("Features.DeviceSystem.SystemID", "DEVICE_SYSTEM_ID", &config.system_id);
  reader.objects("Features.DeviceSystem.DefaultInventory", [&](ConfigReader& element) {
    AttributeConfig attribute;
    element.string("Name", "", &attribute.name);
    element.string("Value", "", &attribute.value);
    if (attribute.name.empty()) element.fail("Name", "is missing");
    config.default_inventory.push_back(std::move(attribute));
  });
}

void read_listeners(ConfigReader& reader, Config& config) {
  reader.boolean("HTTP.Enabled", "HTTP_ENABLED", &config.http.enabled);
  reader.string("HTTP.Listen", "HTTP_LISTEN", &config.http.listen);
  reader.boolean("HTTPS.Enabled", "HTTPS_ENABLED", &config.https.enabled);
  reader.string("HTTPS.Listen", "HTTPS_LISTEN", &config.https.listen);
  reader.string("HTTPS.MinimumTLSVersion", "HTTPS_MINIMUM_TLS_VERSION", &config.minimum_tls_version);
  reader.string("HTTPS.ServerCertificate", "HTTPS_SERVER_CERTIFICATE", &config.server_certificate);
  reader.string("HTTPS.ServerKey", "HTTPS_SERVER_KEY", &config.server_key);
  reader.boolean("Metrics.Enabled", "METRICS_ENABLED", &config.metrics.enabled);
  reader.string("Metrics.Listen", "METRICS_LISTEN", &config.metrics.listen);
  if (config.minimum_tls_version == "1.0" || config.minimum_tls_version == "1.1") {
    reader.fail("HTTPS.MinimumTLSVersion", "must be 1.2 or 1.3: older versions are broken and not offered");
  } else if (config.minimum_tls_version != "1.2" && config.minimum_tls_version != "1.3") {
    reader.fail("HTTPS.MinimumTLSVersion", "must be 1.2 or 1.3");
  }
}

void read_upstream(ConfigReader& reader, Config& config) {
  reader.string("UpstreamServer.URL", "UPSTREAM_SERVER", &config.upstream_url);
  reader.string("UpstreamServer.URL", "UPSTREAM_SERVER_URL", &config.upstream_url);
  reader.string("UpstreamServer.CACertificate", "UPSTREAM_SERVER_CA_CERTIFICATE", &config.upstream_ca);
  reader.boolean("UpstreamServer.InsecureSkipVerify", "UPSTREAM_SERVER_INSECURE_SKIP_VERIFY",
                 &config.upstream_insecure);
}

void read_device_trust(ConfigReader& reader, Config& config) {
  reader.string_or_strings("Postern.mTLS.CACertificates", "POSTERN_GATEWAY_MTLS_CA_CERTIFICATES",
                           &config.device_cas);
  reader.string_or_strings("Postern.mTLS.CRL", "POSTERN_GATEWAY_MTLS_CRL", &config.device_crls);
  reader.boolean("Postern.mTLS.RequireCRL", "POSTERN_GATEWAY_MTLS_REQUIRE_CRL", &config.require_crl);
}

void read_calendar(ConfigReader& reader, const std::string& key, std::string_view variable,
                   Calendar& calendar) {
  std::string text;
  reader.string(key, variable, &text);
  if (auto parsed = Calendar::parse(text)) {
    calendar = *std::move(parsed);
  } else {
    reader.fail(key, parsed.error().what);
  }
}

void read_traffic(ConfigReader& reader, Config& config) {
  const std::string traffic = "Postern.Traffic.";
  read_calendar(reader, traffic + "Uplink", "POSTERN_GATEWAY_TRAFFIC_UPLINK", config.uplink_calendar);
  read_calendar(reader, traffic + "Site", "POSTERN_GATEWAY_TRAFFIC_SITE", config.site_calendar);
  reader.string(traffic + "TimeZone", "POSTERN_GATEWAY_TRAFFIC_TIME_ZONE", &config.time_zone);
  reader.integer(traffic + "DownloadsMax", "POSTERN_GATEWAY_TRAFFIC_DOWNLOADS_MAX", &config.downloads_max,
                 std::size_t{0}, std::size_t{1} << 20);
  reader.integer(traffic + "ConnectionsMax", "POSTERN_GATEWAY_TRAFFIC_CONNECTIONS_MAX",
                 &config.connections_max, std::size_t{1}, std::size_t{1} << 20);
  reader.integer(traffic + "HandshakesMax", "POSTERN_GATEWAY_TRAFFIC_HANDSHAKES_MAX", &config.handshakes_max,
                 std::size_t{1}, std::size_t{1} << 20);
}

void read_own(ConfigReader& reader, Config& config) {
  std::string rebinding(to_string(config.rebinding));
  reader.string("Postern.StateDirectory", "POSTERN_GATEWAY_STATE_DIRECTORY", &config.state_directory);
  reader.string("Postern.Upstream.Certificate", "POSTERN_GATEWAY_UPSTREAM_CERTIFICATE",
                &config.upstream_certificate);
  reader.string("Postern.Upstream.Key", "POSTERN_GATEWAY_UPSTREAM_KEY", &config.upstream_key);
  read_device_trust(reader, config);
  reader.string("Postern.Binding.Rebinding", "POSTERN_GATEWAY_BINDING_REBINDING", &rebinding);
  reader.string("Postern.Binding.NameField", "POSTERN_GATEWAY_BINDING_NAME_FIELD",
                &config.binding_name_field);
  reader.string("Postern.Binding.ApprovedPath", "POSTERN_GATEWAY_BINDING_APPROVED_PATH",
                &config.approved_path);
  reader.integer("Postern.Cache.BytesMax", "POSTERN_GATEWAY_CACHE_BYTES_MAX", &config.cache_bytes_max,
                 std::uint64_t{16} << 20, std::uint64_t{1} << 50);
  reader.integer("Postern.Cache.SegmentBytes", "POSTERN_GATEWAY_CACHE_SEGMENT_BYTES",
                 &config.cache_segment_bytes, std::uint64_t{16} << 20, std::uint64_t{4} << 30);
  reader.integer("Postern.Cache.FreeBytesMin", "POSTERN_GATEWAY_CACHE_FREE_BYTES_MIN", &config.free_bytes_min,
                 std::uint64_t{0}, std::uint64_t{1} << 50);
  reader.integer("Postern.Threads", "POSTERN_GATEWAY_THREADS", &config.threads, 0U, 256U);
  reader.integer("Postern.PoolThreads", "POSTERN_GATEWAY_POOL_THREADS", &config.pool_threads, 1U, 256U);
  reader.duration("Postern.StopGrace", "POSTERN_GATEWAY_STOP_GRACE", &config.stop_grace, 0s, 1h);
  read_log_settings(reader, "Postern.", "POSTERN_GATEWAY_", &config.log_level, &config.log_format);
  if (const auto parsed = parse_rebinding(rebinding)) {
    config.rebinding = *parsed;
  } else {
    reader.fail("Postern.Binding.Rebinding", "must be same-key, same-subject, approved or any");
  }
}

void read_control(ConfigReader& reader, Config& config) {
  reader.string("Postern.Control.Socket", "POSTERN_GATEWAY_CONTROL_SOCKET", &config.control_socket);
}

void read_cache(ConfigReader& reader, Config& config) {
  std::string serve = config.serves_verified_only ? "verified-only" : "while-filling";
  reader.string("Postern.Cache.Serve", "POSTERN_GATEWAY_CACHE_SERVE", &serve);
  if (serve != "verified-only" && serve != "while-filling") {
    reader.fail("Postern.Cache.Serve", "must be while-filling or verified-only");
  }
  config.serves_verified_only = serve == "verified-only";
  reader.integer("Postern.Cache.KeepLast", "POSTERN_GATEWAY_CACHE_KEEP_LAST", &config.cache_keep_last, 0U,
                 1000U);
  reader.duration("Postern.Cache.ScrubInterval", "POSTERN_GATEWAY_CACHE_SCRUB_INTERVAL",
                  &config.scrub_interval, 0s, 366 * 24h);
  reader.duration("Postern.Cache.RetryPause", "POSTERN_GATEWAY_CACHE_RETRY_PAUSE", &config.cache_retry_pause,
                  1s, 24h);
  reader.strings("Postern.Artifacts.VerifyKeys", "POSTERN_GATEWAY_ARTIFACTS_VERIFY_KEYS",
                 &config.artifact_verify_keys);
}

}  // namespace

std::vector<std::string> control_sockets(const Config& config, const Environment& environment) {
  if (!config.control_socket.empty()) return {config.control_socket};
  std::vector<std::string> sockets;
  // Set by systemd for the service itself; several directories are separated by colons.
  if (const auto directory = environment("RUNTIME_DIRECTORY")) {
    sockets.push_back(directory->substr(0, directory->find(':')) + "/control.sock");
  }
  sockets.push_back(config.state_directory + "/control.sock");
  sockets.emplace_back("/run/postern-gateway/control.sock");
  return sockets;
}

Result<Config> load_config(const std::string& path, const Environment& environment, Log& log) {
  std::string text;
  if (!path.empty()) {
    POSTERN_TRY(text, read_file(path, ConfigReader::kTextBytesMax));
  }
  POSTERN_TRY(auto reader, ConfigReader::from_text(text, path.empty() ? "environment" : path, environment));
  Config config;
  read_features(reader, config);
  read_listeners(reader, config);
  read_upstream(reader, config);
  read_own(reader, config);
  read_control(reader, config);
  read_traffic(reader, config);
  read_cache(reader, config);
  POSTERN_CHECK(reader.finish(log));
  while (config.gateway_url.ends_with('/')) config.gateway_url.pop_back();
  return config;
}

Status check_complete(const Config& config) {
  const auto missing = [](std::string_view key, std::string_view why) {
    return invalid(fmt::format("{} is missing: {}", key, why));
  };
  if (config.upstream_url.empty()) return missing("UpstreamServer.URL", "the server to relay to");
  if (!config.http.enabled && !config.https.enabled) {
    return invalid("neither HTTP.Enabled nor HTTPS.Enabled is true: there is nothing to listen on");
  }
  if (config.https.enabled && (config.server_certificate.empty() || config.server_key.empty())) {
    return missing("HTTPS.ServerCertificate or HTTPS.ServerKey", "HTTPS needs both");
  }
  if (config.mtls && config.device_ca.empty() && config.device_cas.empty()) {
    return missing("Features.mTLS.CACertificate or Postern.mTLS.CACertificates",
                   "the authority of the devices' certificates");
  }
  if (config.mtls && !config.https.enabled) {
    return invalid("Features.mTLS.Enabled needs HTTPS.Enabled");
  }
  const bool has_account = !config.mender_username.empty() && !config.mender_password.empty();
  if (config.mtls && !has_account && config.upstream_certificate.empty()) {
    return missing("Features.mTLS.MenderUsername and MenderPassword, or Postern.Upstream.Certificate",
                   "how devices are preauthorized at the upstream server");
  }
  if (config.upstream_certificate.empty() != config.upstream_key.empty()) {
    return missing("Postern.Upstream.Certificate or Postern.Upstream.Key",
                   "one is of no use without the other");
  }
  if (config.proxies_artifacts && config.gateway_url.empty()) {
    return missing("Features.ArtifactsProxy.GatewayURL", "how devices reach this gateway");
  }
  if (config.caches_artifacts && !config.proxies_artifacts) {
    return invalid("ArtifactsCache.Enabled needs Features.ArtifactsProxy.Enabled");
  }
  if (config.serves_verified_only && config.proxies_artifacts && !config.caches_artifacts) {
    return invalid("Postern.Cache.Serve is verified-only, which needs ArtifactsCache.Enabled");
  }
  if (config.rebinding == Rebinding::approved && config.approved_path.empty()) {
    return missing("Postern.Binding.ApprovedPath", "the rebinding policy is \"approved\"");
  }
  if (config.device_system && config.system_id.empty()) {
    return missing("Features.DeviceSystem.SystemID", "DeviceSystem is enabled");
  }
  return {};
}

}  // namespace postern::gateway
