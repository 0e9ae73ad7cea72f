#include "gateway/serve.hpp"

#include "gateway/app.hpp"
#include "gateway/control/recent_log.hpp"
#include "gateway/link_secret.hpp"
#include "gateway/store/tables.hpp"
#include "shared/async/service.hpp"
#include "shared/io/supervisor.hpp"
#include "shared/transport/tcp.hpp"

namespace postern::gateway {
namespace {

Result<std::unique_ptr<ChunkStore>> open_chunks(const Config& config, Clock& clock, Log& log) {
  if (!config.caches_artifacts) return nullptr;
  return ChunkStore::open({.directory = config.cache_path,
                           .bytes_max = config.cache_bytes_max,
                           .segment_bytes = config.cache_segment_bytes,
                           .free_bytes_min = config.free_bytes_min},
                          clock, log);
}

/// A manager that cannot be told is no reason to stop serving.
void tell(const Status& told, Log& log) {
  if (!told) log.warn("gateway.manager_not_told", {{"error", told.error().what}});
}

/// For a person who asks the manager.
std::string describe(const App::Listening& listening, const std::vector<std::string>& failing) {
  const auto& at = listening.https ? listening.https : listening.http;
  std::string text = fmt::format("Serving at {}", at ? at->to_string() : std::string("no address"));
  if (!failing.empty()) {
    text += fmt::format("; not reloaded, the old stays in force: {}", fmt::join(failing, ", "));
  }
  return text;
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

}  // namespace

Status serve(Config config, Log& stderr_log) {
  POSTERN_CHECK(check_complete(config));
  const Environment environment = system_environment();
  config.control_socket = control_sockets(config, environment).front();
  const Supervisor supervisor(environment);
  SystemClock clock;
  RecentLog log(stderr_log, clock);
  raise_file_limit(log);
  if (!config.time_zone.empty()) POSTERN_CHECK(use_time_zone(config.time_zone));
  SystemRandom random;
  SystemNetwork network;
  Service service("gateway", config.threads, log);
  SystemFiles files;
  std::unique_ptr<Trust> trust;
  App::Listening listening;
  service.on_hangup([&] {  // not before run()
    tell(supervisor.reloading(), log);
    trust->reload([&](const std::vector<std::string>& failing) {
      tell(supervisor.ready(describe(listening, failing)), log);
    });
  });
  Pool pool(config.pool_threads);
  POSTERN_CHECK(open_directory(config.state_directory));  // makes it
  POSTERN_TRY(const auto state, open_lmdb_database({.path = config.state_directory + "/state",
                                                    .tables = {kTables.begin(), kTables.end()},
                                                    .schema_version = kSchemaVersion,
                                                    .migrations = migrations()},
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
                                         .version = POSTERN_VERSION,
                                         .recent = log,
                                         .supervisor = supervisor},
                                        config, std::move(link_secret)));
  POSTERN_TRY(listening, app->listen());
  log_started(listening, config, log);
  tell(supervisor.ready(describe(listening, {})), log);
  service.run(
      [&](Duration grace) {
        tell(supervisor.stopping(), log);
        return app->stop(grace);
      },
      config.stop_grace);
  log.info("gateway.stopped");
  return {};
}

}  // namespace postern::gateway
