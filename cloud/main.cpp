// postern-cloud: serves devices and operators, and makes the first user.
#include <csignal>
#include <iostream>
#include <list>
#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>
#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "cloud/app.hpp"
#include "cloud/config.hpp"
#include "shared/async/run.hpp"
#include "shared/transport/tcp.hpp"

namespace postern::cloud {
namespace {

constexpr const char* kFooter = R"(Examples:
  Make the first user, then serve:
    postern-cloud create-user admin 'a good password' --data /var/lib/postern-cloud
    postern-cloud --data /var/lib/postern-cloud --listen 0.0.0.0:443 --cert server.crt --key server.key

Every key of the configuration file has an environment variable too: "Listen" is POSTERN_CLOUD_LISTEN,
"DataDirectory" is POSTERN_CLOUD_DATA_DIRECTORY, and so on. Flags win over both.
Exit status: 0 after an orderly end, 1 when something failed, 2 for wrong usage.)";

struct CommandLine {
  std::string config_path;
  std::string data, listen, certificate, key, url;
  std::string user_name, password;
};

/// The largest number of open files that we may have: each connection takes one.
void raise_file_limit(Log& log) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) log.warn("cloud.file_limit_not_raised");
}

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
  while (config.url.ends_with('/')) config.url.pop_back();
  return config;
}

Result<std::shared_ptr<const TlsServerContext>> load_tls(const Config& config) {
  POSTERN_TRY(std::string chain, read_file(config.certificate));
  POSTERN_TRY(std::string key, read_file(config.key));
  return TlsServerContext::make(
      {.certificate_chain_pem = std::move(chain), .private_key_pem = std::move(key)});
}

/// One thread and one event loop per core.
class Loops {
 public:
  explicit Loops(unsigned count) {
    for (unsigned i = 0; i < std::max(1U, count); ++i) contexts_.emplace_back(1);
  }
  std::vector<net::any_io_executor> executors() {
    std::vector<net::any_io_executor> all;
    for (net::io_context& context : contexts_) all.emplace_back(context.get_executor());
    return all;
  }
  net::io_context& first() { return contexts_.front(); }
  /// Runs until stop().
  void run() {
    std::vector<std::jthread> threads;
    std::list<net::executor_work_guard<net::io_context::executor_type>> guards;
    for (net::io_context& context : contexts_) guards.emplace_back(context.get_executor());
    for (auto context = std::next(contexts_.begin()); context != contexts_.end(); ++context) {
      threads.emplace_back([context] { context->run(); });
    }
    contexts_.front().run();
  }
  void stop() {
    for (net::io_context& context : contexts_) context.stop();
  }

 private:
  std::list<net::io_context> contexts_;
};

/// Waits for a signal, then for an orderly end; a second signal ends the wait.
net::awaitable<void> stop_at_signal(net::signal_set& signals, App& app, Loops& loops, Duration grace,
                                    Log& log) {
  const int number = co_await signals.async_wait(net::use_awaitable);
  log.info("cloud.stopping", {{"signal", number}, {"grace_ms", grace / std::chrono::milliseconds(1)}});
  signals.async_wait([&](const auto& error, int) {
    if (!error) std::_Exit(1);
  });
  if (auto stopped = co_await app.stop(grace); !stopped)
    log.warn("cloud.stop_incomplete", {{"error", stopped.error().what}});
  signals.cancel();
  loops.stop();
}

Status serve(const Config& config, Log& log) {
  POSTERN_CHECK(check_complete(config));
  POSTERN_TRY(const Endpoint listen_at, Endpoint::parse(config.listen));
  POSTERN_TRY(auto tls, load_tls(config));
  raise_file_limit(log);
  SystemClock clock;
  SystemRandom random;
  SystemNetwork network;
  Loops loops(config.threads == 0 ? std::thread::hardware_concurrency() : config.threads);
  net::signal_set signals(loops.first(), SIGTERM, SIGINT);  // from here on no signal is lost
  Pool pool(config.pool_threads);
  POSTERN_CHECK(open_directory(config.data_directory));  // makes it
  POSTERN_TRY(const auto database,
              open_database(config.data_directory + "/database", config.database_bytes_max, clock, log));
  POSTERN_TRY(Secrets secrets, load_secrets(config.data_directory + "/secrets", random));
  POSTERN_TRY(auto artifacts, open_directory(config.data_directory + "/artifacts"));
  App app({.network = network,
           .clock = clock,
           .random = random,
           .log = log,
           .database = *database,
           .pool = pool,
           .executors = loops.executors()},
          std::move(artifacts), std::move(secrets),
          {.public_url = config.url,
           .link_lifetime = config.link_lifetime,
           .free_bytes_min = config.free_bytes_min,
           .tls = std::move(tls)});
  net::io_context starter;
  POSTERN_CHECK(run(starter, app.recover()));
  POSTERN_TRY(const Endpoint endpoint, app.listen(listen_at));
  net::co_spawn(loops.first(), stop_at_signal(signals, app, loops, config.stop_grace, log),
                [](const std::exception_ptr& failure) {
                  if (failure) std::rethrow_exception(failure);
                });
  log.info("cloud.started", {{"listen", endpoint.to_string()}, {"data", config.data_directory}});
  loops.run();
  log.info("cloud.stopped");
  return {};
}

Result<std::string> create_user(const Config& config, const CommandLine& line, Log& log) {
  if (config.data_directory.empty()) return invalid("DataDirectory is missing: give --data or --config");
  std::string password = line.password;
  if (password.empty()) std::getline(std::cin, password);
  SystemClock clock;
  SystemRandom random;
  POSTERN_CHECK(open_directory(config.data_directory));
  net::io_context context;
  Pool pool(1);
  POSTERN_TRY(const auto database,
              open_database(config.data_directory + "/database", config.database_bytes_max, clock, log));
  POSTERN_TRY(Secrets secrets, load_secrets(config.data_directory + "/secrets", random));
  KvStore store(*database);
  UserTokens tokens(std::move(secrets.user_tokens));
  Accounts accounts(store, tokens, pool, clock, random, log);
  return run(context, accounts.create(line.user_name, std::move(password)));
}

int fail(const Error& error) {
  std::cerr << "postern-cloud: error: " << error.what << '\n';
  return 1;
}

void add_flags(CLI::App& command, CommandLine& line) {
  command.add_option("--config", line.config_path, "Configuration file (JSON)")->type_name("FILE");
  command.add_option("--data", line.data, "Directory for everything that lasts")->type_name("DIR");
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
      .add_option("--url", line.url,
                  "How devices reach this server; links begin with it (default: https://LISTEN)")
      ->type_name("URL");
  CLI::App* create =
      program.add_subcommand("create-user", "Make a user and print the id; the server must not be running");
  add_flags(*create, line);
  create->add_option("name", line.user_name, "Name to log in with")->required();
  create->add_option("password", line.password, "Password; read from standard input when it is not given");
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
  log = make_stderr_log(*create ? LogLevel::warn : config->log_level, config->log_format);
  if (*create) {
    const auto id = create_user(*config, line, *log);
    if (!id) return fail(id.error());
    std::cout << *id << '\n';
    return 0;
  }
  const auto served = serve(*config, *log);
  return served ? 0 : fail(served.error());
}

}  // namespace
}  // namespace postern::cloud

int main(int argc, char** argv) {
  return postern::cloud::main(argc, argv);
}
