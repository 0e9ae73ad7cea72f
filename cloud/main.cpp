// postern-cloud: serves devices and operators, and makes the first user.
#include <csignal>
#include <functional>
#include <iostream>

#include <sys/stat.h>
#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>

#include "cloud/app.hpp"
#include "cloud/backup/backup.hpp"
#include "cloud/check.hpp"
#include "cloud/config.hpp"
#include "shared/async/run.hpp"
#include "shared/async/service.hpp"
#include "shared/operating/watchdog.hpp"
#include "shared/transport/tcp.hpp"

namespace postern::cloud {
namespace {

/// Each takes 32 MiB while it checks one.
constexpr std::size_t kPasswordThreads = 2;

constexpr const char* kFooter = R"(Examples:
  Make the first user, then serve:
    postern-cloud create-user admin 'a good password' --data /var/lib/postern-cloud
    postern-cloud --data /var/lib/postern-cloud --listen 0.0.0.0:443 --cert server.crt --key server.key

Every key of the configuration file has an environment variable too: "Listen" is POSTERN_CLOUD_LISTEN,
"DataDirectory" is POSTERN_CLOUD_DATA_DIRECTORY, and so on. Flags win over both.
Exit status: 0 after an orderly end, 1 when something failed, 2 for wrong usage.)";

constexpr const char* kBackupFooter =
    R"(Run it as the server's user. What the server has acknowledged before the start is in the backup; what comes
later is there whole or not at all. Artifacts are hard links where that is possible: copy the backup to
another disk. It holds the server's secrets, so nobody else may read it.
Example:
  postern-cloud backup /var/backups/postern-cloud/$(date +%F) --config /etc/postern/postern-cloud.json)";
constexpr const char* kRestoreFooter =
    R"(Run it as the server's user, while the server does not run. A restore that was cut off is begun anew by the
same command; until then the server does not start.
Example:
  postern-cloud restore /var/backups/postern-cloud/2026-05-01 --data /var/lib/postern-cloud)";

struct CommandLine {
  std::string config_path;
  std::string data, listen, certificate, key, url, gateway_ca, gateway_crl;
  std::string user_name, password, user_id, tenant_id;
  std::string backup;
};

Result<Config> configure(const CommandLine& line, Log& log) {
  POSTERN_TRY(Config config, load_config(line.config_path, system_environment(), log));
  const auto flag = [](const std::string& value, std::string& target) {
    if (!value.empty()) target = value;
  };
  flag(line.data, config.data_directory);
  flag(line.listen, config.listen);
  flag(line.certificate, config.certificate);
  flag(line.key, config.key);
  flag(line.url, config.url);
  flag(line.gateway_ca, config.gateway_ca);
  flag(line.gateway_crl, config.gateway_crl);
  while (config.url.ends_with('/')) config.url.pop_back();
  return config;
}

/// Null when no gateways are configured.
Result<std::shared_ptr<const GatewayTrust>> load_gateways(const Config& config, Clock& clock, Log& log) {
  if (config.gateway_ca.empty()) return nullptr;
  return GatewayTrust::load(config.gateway_ca, config.gateway_crl, clock.wall(), log);
}

Result<std::shared_ptr<const TlsServerContext>> load_tls(const Config& config,
                                                         std::shared_ptr<const GatewayTrust> gateways,
                                                         Clock& clock) {
  POSTERN_TRY(std::string chain, read_file(config.certificate));
  POSTERN_TRY(std::string key, read_file(config.key));
  TlsServerOptions options{.certificate_chain_pem = std::move(chain), .private_key_pem = std::move(key)};
  if (gateways) {
    options.check_client = [gateways = std::move(gateways), &clock](std::span<const Certificate> shown) {
      return gateways->check(shown, clock.wall());
    };
  }
  return TlsServerContext::make(options);
}

/// A manager that cannot be told is no reason to stop serving.
void tell(const Status& told, Log& log) {
  if (!told) log.warn("cloud.manager_not_told", {{"error", told.error().what}});
}

Status serve(const Config& config, Log& log) {
  POSTERN_CHECK(check_complete(config));
  POSTERN_CHECK(check_whole(config.data_directory));
  POSTERN_TRY(const Endpoint listen_at, Endpoint::parse(config.listen));
  const Supervisor supervisor(system_environment());
  SystemClock clock;
  POSTERN_TRY(auto gateways, load_gateways(config, clock, log));
  POSTERN_TRY(auto tls, load_tls(config, gateways, clock));
  raise_file_limit(log);
  SystemRandom random;
  SystemNetwork network;
  Service service("cloud", config.threads, log);
  Pool pool(config.pool_threads);
  POSTERN_CHECK(open_directory(config.data_directory));  // makes it
  POSTERN_TRY(const auto database,
              open_database(config.data_directory + "/database", config.database_bytes_max, clock, log));
  POSTERN_TRY(Secrets secrets, load_secrets(config.data_directory + "/secrets", random));
  POSTERN_TRY(auto artifacts, open_directory(config.data_directory + "/artifacts"));
  POSTERN_TRY(auto verify_keys, load_verify_keys(config.artifact_verify_keys));
  App app({.network = network,
           .clock = clock,
           .random = random,
           .log = log,
           .database = *database,
           .pool = pool,
           .executors = service.executors()},
          std::move(artifacts), std::move(secrets),
          {.public_url = config.url,
           .link_lifetime = config.link_lifetime,
           .free_bytes_min = config.free_bytes_min,
           .rollouts = {.stuck_after = config.stuck_after},
           .storage_bytes_max = config.storage_bytes_max,
           .verify_keys = std::move(verify_keys),
           .tls = std::move(tls),
           .gateways = std::move(gateways),
           .password_threads = kPasswordThreads});
  net::io_context starter;
  POSTERN_CHECK(run(starter, app.recover()));
  POSTERN_TRY(const Endpoint endpoint, app.listen(listen_at));
  LoopMonitor loops(clock, log, service.executors());
  loops.start();
  TaskScope scope(service.executors().front(), log);
  if (const auto interval = supervisor.watchdog()) {
    scope.spawn(service.executors().front(), "cloud.watchdog",
                feed_watchdog(supervisor, loops, clock, log, *interval));
  }
  log.info("cloud.started", {{"listen", endpoint.to_string()}, {"data", config.data_directory}});
  tell(supervisor.ready(fmt::format("Serving at {}", endpoint.to_string())), log);
  service.run(
      [&](Duration grace) -> net::awaitable<Status> {
        tell(supervisor.stopping(), log);
        Status outcome = co_await app.stop(grace);
        scope.stop(net::cancellation_type::terminal);
        if (Status joined = co_await scope.join(clock, std::chrono::seconds(5)); !joined) outcome = joined;
        if (Status unwatched = co_await loops.stop(); !unwatched) outcome = unwatched;
        co_return outcome;
      },
      config.stop_grace);
  log.info("cloud.stopped");
  return {};
}

int fail(const Error& error) {
  std::cerr << "postern-cloud: error: " << error.what << '\n';
  return 1;
}

/// Runs `work` with the accounts of a server that is not running.
template <class T>
Result<T> with_accounts(const Config& config, Log& log,
                        const std::function<net::awaitable<Result<T>>(Accounts&)>& work) {
  if (config.data_directory.empty()) return invalid("DataDirectory is missing: give --data or --config");
  SystemClock clock;
  SystemRandom random;
  POSTERN_CHECK(check_whole(config.data_directory));
  POSTERN_CHECK(open_directory(config.data_directory));
  net::io_context context;
  Pool pool(1);
  POSTERN_TRY(const auto database,
              open_database(config.data_directory + "/database", config.database_bytes_max, clock, log));
  POSTERN_TRY(Secrets secrets, load_secrets(config.data_directory + "/secrets", random));
  KvStore store(*database);
  UserTokens tokens(std::move(secrets.user_tokens));
  Accounts accounts(store, tokens, pool, clock, random, log);
  return run(context, work(accounts));
}

std::string password_of(const CommandLine& line) {
  std::string password = line.password;
  if (password.empty()) std::getline(std::cin, password);
  return password;
}

int create_user(const Config& config, const CommandLine& line, Log& log) {
  const auto id = with_accounts<std::string>(config, log, [&](Accounts& accounts) {
    return accounts.create(line.user_name, password_of(line), line.user_id);
  });
  if (!id) return fail(id.error());
  std::cout << *id << '\n';
  return 0;
}

int set_password(const Config& config, const CommandLine& line, Log& log) {
  const Status done = with_accounts<void>(config, log, [&](Accounts& accounts) {
    return accounts.set_password(line.user_name, password_of(line));
  });
  return done ? 0 : fail(done.error());
}

/// Prints what a backup, or what was restored from one, holds.
int report(const Result<BackupContent>& content, std::string_view what) {
  if (!content) return fail(content.error());
  std::cout << fmt::format("{}: {} records, {} artifacts, {} bytes; all of it was checked\n", what,
                           content->records, content->artifacts, content->size_bytes);
  return 0;
}

int make_backup(const Config& config, const CommandLine& line, Log& log) {
  if (config.data_directory.empty()) {
    return fail(invalid("DataDirectory is missing: give --data or --config"));
  }
  SystemClock clock;
  return report(back_up({.data_directory = config.data_directory,
                         .target = line.backup,
                         .database_bytes_max = config.database_bytes_max,
                         .version = POSTERN_VERSION},
                        clock, log),
                fmt::format("Backup {}", line.backup));
}

int restore_backup(const Config& config, const CommandLine& line, Log& log) {
  if (config.data_directory.empty()) {
    return fail(invalid("DataDirectory is missing: give --data or --config"));
  }
  SystemClock clock;
  return report(restore({.backup = line.backup,
                         .data_directory = config.data_directory,
                         .database_bytes_max = config.database_bytes_max},
                        clock, log),
                fmt::format("Restored {}", config.data_directory));
}

int check(const Config& config) {
  const auto problems = problems_of(config, SystemClock().wall());
  for (const std::string& problem : problems) std::cout << problem << '\n';
  if (problems.empty()) std::cout << "The configuration is good\n";
  return problems.empty() ? 0 : 1;
}

void add_flags(CLI::App& command, CommandLine& line) {
  command.add_option("--config", line.config_path, "Configuration file (JSON)")->type_name("FILE");
  command.add_option("--data", line.data, "Directory for everything that lasts")->type_name("DIR");
}

void add_user_options(CLI::App& command, CommandLine& line) {
  command.add_option("name,--username", line.user_name, "Name to log in with")->required();
  command.add_option("password,--password", line.password,
                     "Password; read from standard input when it is not given");
}

int main(int argc, char** argv) {
  CommandLine line;
  CLI::App program("Plans rollouts and serves devices and operators.", "postern-cloud");
  program.footer(kFooter);
  program.set_version_flag("--version", "postern-cloud " POSTERN_VERSION);
  add_flags(program, line);
  program.add_option("--listen", line.listen, "Where to listen; port 0 is any free one")
      ->type_name("HOST:PORT");
  program.add_option("--cert", line.certificate, "Server certificate, leaf first (PEM)")->type_name("FILE");
  program.add_option("--key", line.key, "Its private key (PEM)")->type_name("FILE");
  program
      .add_option("--gateway-ca", line.gateway_ca,
                  "Certificates that sign those of gateways (PEM); clients are asked for theirs then")
      ->type_name("FILE");
  program.add_option("--gateway-crl", line.gateway_crl, "Revocation lists of gateways' certificates (PEM)")
      ->type_name("FILE");
  program
      .add_option("--url", line.url,
                  "How devices reach this server; links begin with it (default: https://LISTEN)")
      ->type_name("URL");
  CLI::App* create =
      program.add_subcommand("create-user", "Make a user and print the id; the server must not be running");
  add_flags(*create, line);
  add_user_options(*create, line);
  create->add_option("--user-id", line.user_id, "Its id [a fresh one]")->type_name("UUID");
  create->add_option("--tenant-id", line.tenant_id, "Taken and ignored: there is one tenant")
      ->type_name("ID");
  CLI::App* reset = program.add_subcommand(
      "set-password", "Set a user's password and end its tokens; the server must not be running");
  add_flags(*reset, line);
  add_user_options(*reset, line);
  CLI::App* check_command =
      program.add_subcommand("check", "Look at the configuration and its files; say all that is wrong");
  add_flags(*check_command, line);
  check_command->footer(
      "Example:\n  postern-cloud check --config postern-cloud.json && systemctl restart postern-cloud");
  CLI::App* backup =
      program.add_subcommand("backup", "Copy all that lasts to a new directory, also while the server runs");
  add_flags(*backup, line);
  backup->add_option("DIR", line.backup, "Where to; must not exist yet, or be empty")->required();
  backup->footer(kBackupFooter);
  CLI::App* restore_command =
      program.add_subcommand("restore", "Put a backup into an empty data directory, and check every record");
  add_flags(*restore_command, line);
  restore_command->add_option("DIR", line.backup, "The backup")->required();
  restore_command->footer(kRestoreFooter);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  }
  umask(077);
  (void)std::signal(SIGPIPE, SIG_IGN);
  auto log = make_stderr_log(LogLevel::warn, LogFormat::logfmt);
  const auto config = configure(line, *log);
  if (!config) return fail(config.error());
  log = make_stderr_log(program.get_subcommands().empty() ? config->log_level : LogLevel::warn,
                        config->log_format);
  if (*create) return create_user(*config, line, *log);
  if (*reset) return set_password(*config, line, *log);
  if (*check_command) return check(*config);
  if (*backup) return make_backup(*config, line, *log);
  if (*restore_command) return restore_backup(*config, line, *log);
  const auto served = serve(*config, *log);
  return served ? 0 : fail(served.error());
}

}  // namespace
}  // namespace postern::cloud

int main(int argc, char** argv) {
  return postern::cloud::main(argc, argv);
}
