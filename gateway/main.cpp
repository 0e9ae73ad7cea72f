// postern-gateway: stands between the devices of a site and the server that they belong to.
#include <csignal>
#include <iostream>

#include <sys/stat.h>
#include <CLI/CLI.hpp>

#include "gateway/app.hpp"
#include "gateway/link_secret.hpp"
#include "gateway/store/tables.hpp"
#include "shared/async/service.hpp"
#include "shared/transport/tcp.hpp"

namespace postern::gateway {
namespace {

constexpr const char* kDefaultConfig = "/etc/mender/mender-gateway.conf";
constexpr const char* kFooter =
    R"(The configuration file has the format of mender-gateway.conf; what is ours stands under "Postern". The least:

  {
    "HTTPS": {"Enabled": true, "Listen": ":443",
              "ServerCertificate": "/etc/postern/gw-inside.crt", "ServerKey": "/etc/postern/gw-inside.key"},
    "UpstreamServer": {"URL": "https://cloud.example", "CACertificate": "/etc/postern/server-ca.crt"},
    "Features": {
      "mTLS": {"Enabled": true, "CACertificate": "/etc/postern/device-ca.crt"},
      "ArtifactsProxy": {"Enabled": true, "GatewayURL": "https://gateway.plant",
                         "ArtifactsCache": {"Enabled": true, "Path": "/var/cache/postern-gateway"}}
    },
    "Postern": {"Upstream": {"Certificate": "/etc/postern/gw-outside.crt", "Key": "/etc/postern/gw-outside.key"}}
  }

In front of another Mender server, Features.mTLS.MenderUsername and MenderPassword take the place of
Postern.Upstream. Environment variables win over the file: UPSTREAM_SERVER_URL, HTTPS_LISTEN, and so on;
gateway/README.md lists them all.
Exit status: 0 after an orderly end, 1 when something failed, 2 for wrong usage.)";

Result<std::unique_ptr<ChunkStore>> open_chunks(const Config& config, Clock& clock, Log& log) {
  if (!config.caches_artifacts) return nullptr;
  return ChunkStore::open({.directory = config.cache_path,
                           .bytes_max = config.cache_bytes_max,
                           .segment_bytes = config.cache_segment_bytes,
                           .free_bytes_min = config.free_bytes_min},
                          clock, log);
}

void log_started(const App::Listening& listening, const Config& config, Log& log) {
  const auto where = [](const std::optional<Endpoint>& endpoint) {
    return endpoint ? endpoint->to_string() : std::string("-");
  };
  log.info("gateway.started", {{"https", where(listening.https)},
                               {"http", where(listening.http)},
                               {"metrics", where(listening.metrics)},
                               {"upstream", config.upstream_url},
                               {"mtls", config.mtls},
                               {"cache", config.caches_artifacts ? config.cache_path : "-"}});
}

Status serve(const Config& config, Log& log) {
  POSTERN_CHECK(check_complete(config));
  raise_file_limit(log);
  if (!config.time_zone.empty()) POSTERN_CHECK(use_time_zone(config.time_zone));
  SystemClock clock;
  SystemRandom random;
  SystemNetwork network;
  Service service("gateway", config.threads, log);
  SystemFiles files;
  std::unique_ptr<Trust> trust;
  service.on_hangup([&trust] { trust->reload(); });  // not before run()
  Pool pool(config.pool_threads);
  POSTERN_CHECK(open_directory(config.state_directory));  // makes it
  POSTERN_TRY(const auto state, open_lmdb_database({.path = config.state_directory + "/state",
                                                    .tables = {kTables.begin(), kTables.end()},
                                                    .schema_version = kSchemaVersion},
                                                   clock, log));
  POSTERN_TRY(const auto chunks, open_chunks(config, clock, log));
  POSTERN_TRY(trust, Trust::load(config, files, clock, log));
  POSTERN_TRY(auto link_secret, load_link_secret(config, random));
  POSTERN_TRY(const auto app, App::make({.network = network,
                                         .clock = clock,
                                         .random = random,
                                         .log = log,
                                         .state = *state,
                                         .chunks = chunks.get(),
                                         .pool = pool,
                                         .trust = *trust,
                                         .executors = service.executors(),
                                         .user_agent = "postern-gateway/" POSTERN_VERSION,
                                         .version = POSTERN_VERSION},
                                        config, std::move(link_secret)));
  POSTERN_TRY(const App::Listening listening, app->listen());
  log_started(listening, config, log);
  service.run([&](Duration grace) { return app->stop(grace); }, config.stop_grace);
  log.info("gateway.stopped");
  return {};
}

int fail(const Error& error) {
  std::cerr << "postern-gateway: error: " << error.what << '\n';
  return 1;
}

int main(int argc, char** argv) {
  std::string config_path = kDefaultConfig;
  std::string level;
  CLI::App program("Relays, caches and guards: the gateway of a site.", "postern-gateway");
  program.footer(kFooter);
  program.set_version_flag("--version", "postern-gateway " POSTERN_VERSION);
  program.add_option("--config", config_path, "Configuration file (JSON)")
      ->type_name("FILE")
      ->capture_default_str();
  program.add_option("--log-level", level, "debug, info, warn, error or fatal; wins over the file")
      ->type_name("LEVEL");
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  }
  umask(077);
  (void)std::signal(SIGPIPE, SIG_IGN);
  auto log = make_stderr_log(LogLevel::warn, LogFormat::logfmt);
  auto config = load_config(config_path, system_environment(), *log);
  if (!config) return fail(config.error());
  if (level == "fatal") level = "error";  // what is fatal is an error of the command itself
  if (!level.empty()) {
    const auto parsed = parse_log_level(level);
    if (!parsed) return fail(parsed.error());
    config->log_level = *parsed;
  }
  log = make_stderr_log(config->log_level, config->log_format);
  const auto served = serve(*config, *log);
  return served ? 0 : fail(served.error());
}

}  // namespace
}  // namespace postern::gateway

int main(int argc, char** argv) {
  return postern::gateway::main(argc, argv);
}
