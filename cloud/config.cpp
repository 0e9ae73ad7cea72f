#include "cloud/config.hpp"

#include "shared/io/file.hpp"

namespace postern::cloud {

using namespace std::chrono_literals;

Result<Config> load_config(const std::string& path, const Environment& environment, Log& log) {
  std::string text;
  if (!path.empty()) {
    POSTERN_TRY(text, read_file(path, ConfigReader::kTextBytesMax));
  }
  POSTERN_TRY(auto reader, ConfigReader::from_text(text, path.empty() ? "environment" : path, environment));
  Config config;
  reader.string("DataDirectory", "POSTERN_CLOUD_DATA_DIRECTORY", &config.data_directory);
  reader.string("Listen", "POSTERN_CLOUD_LISTEN", &config.listen);
  reader.string("Certificate", "POSTERN_CLOUD_CERTIFICATE", &config.certificate);
  reader.string("Key", "POSTERN_CLOUD_KEY", &config.key);
  reader.string("GatewayCA", "POSTERN_CLOUD_GATEWAY_CA", &config.gateway_ca);
  reader.string("GatewayCRL", "POSTERN_CLOUD_GATEWAY_CRL", &config.gateway_crl);
  reader.strings("ArtifactVerifyKeys", "POSTERN_CLOUD_ARTIFACT_VERIFY_KEYS", &config.artifact_verify_keys);
  reader.integer("StorageBytesMax", "POSTERN_CLOUD_STORAGE_BYTES_MAX", &config.storage_bytes_max,
                 std::uint64_t{0}, std::uint64_t{1} << 50);
  reader.string("URL", "POSTERN_CLOUD_URL", &config.url);
  read_log_settings(reader, "", "POSTERN_CLOUD_", &config.log_level, &config.log_format);
  reader.integer("Threads", "POSTERN_CLOUD_THREADS", &config.threads, 0U, 256U);
  reader.integer("PoolThreads", "POSTERN_CLOUD_POOL_THREADS", &config.pool_threads, 1U, 256U);
  reader.integer("DatabaseBytesMax", "POSTERN_CLOUD_DATABASE_BYTES_MAX", &config.database_bytes_max,
                 std::uint64_t{1} << 20, std::uint64_t{1} << 44);
  reader.integer("FreeBytesMin", "POSTERN_CLOUD_FREE_BYTES_MIN", &config.free_bytes_min, std::uint64_t{0},
                 std::uint64_t{1} << 44);
  reader.duration("LinkLifetime", "POSTERN_CLOUD_LINK_LIFETIME", &config.link_lifetime, 1s, 7 * 24h);
  reader.duration("StuckAfter", "POSTERN_CLOUD_STUCK_AFTER", &config.stuck_after, 1min, 366 * 24h);
  reader.duration("StopGrace", "POSTERN_CLOUD_STOP_GRACE", &config.stop_grace, 0s, 1h);
  POSTERN_CHECK(reader.finish(log));
  return config;
}

Status check_complete(const Config& config) {
  const auto missing = [](std::string_view key, std::string_view flag) {
    return invalid(fmt::format("{} is missing: set it in the configuration file or give {}", key, flag));
  };
  if (config.data_directory.empty()) return missing("DataDirectory", "--data");
  if (config.certificate.empty()) return missing("Certificate", "--cert");
  if (config.key.empty()) return missing("Key", "--key");
  if (!config.gateway_crl.empty() && config.gateway_ca.empty()) {
    return invalid("GatewayCRL revokes nothing without GatewayCA: give --gateway-ca as well");
  }
  return {};
}

}  // namespace postern::cloud
