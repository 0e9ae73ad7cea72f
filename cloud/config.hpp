// What postern-cloud can be told.
#pragma once

#include <chrono>
#include <string>

#include "shared/base/config.hpp"
#include "shared/base/log.hpp"

namespace postern::cloud {

struct Config {
  std::string data_directory;             ///< "DataDirectory": holds everything that lasts
  std::string listen = "127.0.0.1:8443";  ///< "Listen": host:port; port 0 is any free one
  std::string certificate;                ///< "Certificate": PEM file, leaf first
  std::string key;                        ///< "Key": PEM file
  /// "GatewayCA": PEM file of the certificates that sign those of gateways; empty: there are no gateways
  std::string gateway_ca;
  std::string gateway_crl;  ///< "GatewayCRL": PEM file of their revocation lists; may be empty
  std::string url;          ///< "URL": how devices reach this server; empty: https://<listen>
  /// "ArtifactVerifyKeys": PEM files of public keys; with any, an artifact has to be signed by one of them
  std::vector<std::string> artifact_verify_keys;
  std::uint64_t storage_bytes_max = 0;       ///< "StorageBytesMax": of all artifacts together; 0: no limit
  LogLevel log_level = LogLevel::info;       ///< "LogLevel": debug, info, warn, error
  LogFormat log_format = LogFormat::logfmt;  ///< "LogFormat": logfmt, json
  unsigned threads = 0;                      ///< "Threads": 0 is one per core
  unsigned pool_threads = 4;                 ///< "PoolThreads": for work that blocks
  std::uint64_t database_bytes_max = 64ULL << 30;  ///< "DatabaseBytesMax": address space for the store
  std::uint64_t free_bytes_min = 256ULL << 20;     ///< "FreeBytesMin": uploads stop when less would stay free
  std::chrono::seconds link_lifetime = std::chrono::hours(24);  ///< "LinkLifetime": of download links
  /// "StuckAfter": how long a device may be in one status of an update before it counts as stuck
  std::chrono::seconds stuck_after = std::chrono::hours(24);
  std::chrono::seconds stop_grace =
      std::chrono::seconds(20);  ///< "StopGrace": for requests under way at the end
};

/// Reads `path`, with environment variables POSTERN_CLOUD_<NAME> over it. An empty path reads the environment
/// only. Errors: invalid (naming every key that is wrong), not_found.
Result<Config> load_config(const std::string& path, const Environment& environment, Log& log);

/// What has to be there before a server can start. Errors: invalid.
Status check_complete(const Config& config);

}  // namespace postern::cloud
