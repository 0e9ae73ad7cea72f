// postern-gateway: stands between the devices of a site and the server that they belong to.
#include <csignal>
#include <iostream>

#include <sys/stat.h>
#include <CLI/CLI.hpp>

#include "gateway/check.hpp"
#include "gateway/control/commands.hpp"
#include "gateway/serve.hpp"

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
Without a command it serves. The commands ask the gateway that runs on this machine, at its control socket.
Exit status: 0 done, or after an orderly end; 1 failed; 2 wrong usage; 3 something bad was found.)";

int fail(const Error& error) {
  std::cerr << "postern-gateway: error: " << error.what << '\n';
  return 1;
}

/// Declares the commands; each puts what it does into `action_`.
class CommandLine {
 public:
  CommandLine() : app_("Relays, caches and guards: the gateway of a site.", "postern-gateway") {
    app_.footer(kFooter);
    app_.set_version_flag("--version", "postern-gateway " POSTERN_VERSION);
    app_.require_subcommand(0, 1);
    app_.fallthrough();
    app_.add_option("--config", config_path_, "Configuration file (JSON)")
        ->type_name("FILE")
        ->capture_default_str();
    app_.add_option("--log-level", level_, "debug, info, warn, error or fatal; wins over the file")
        ->type_name("LEVEL");
    app_.add_option("--socket", socket_, "For commands: the control socket, in place of the configured one")
        ->type_name("PATH");
    declare_check();
    declare_status();
    declare_cache();
    declare_prefetch();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? 0 : 2;
    }
    return action_();
  }

 private:
  using Command = Result<int> (Commands::*)(const CommandOptions&);

  Result<Config> load(Log& log) const {
    POSTERN_TRY(Config config, load_config(config_path_, system_environment(), log));
    if (!level_.empty()) {
      // What is fatal is an error of the command itself.
      POSTERN_TRY(config.log_level, parse_log_level(level_ == "fatal" ? "error" : level_));
    }
    return config;
  }

  int serve() const {
    auto log = make_stderr_log(LogLevel::warn, LogFormat::logfmt);
    auto config = load(*log);
    if (!config) return fail(config.error());
    log = make_stderr_log(config->log_level, config->log_format);
    const auto served = gateway::serve(*std::move(config), *log);
    return served ? 0 : fail(served.error());
  }

  int check() const {
    const auto log = make_stderr_log(LogLevel::warn, LogFormat::logfmt);
    const auto config = load(*log);
    if (!config) return fail(config.error());
    const auto problems = problems_of(*config, SystemClock().wall());
    for (const std::string& problem : problems) std::cout << problem << '\n';
    if (problems.empty()) std::cout << config_path_ << ": good\n";
    return problems.empty() ? 0 : 1;
  }

  Result<std::vector<std::string>> sockets(Log& log) const {
    if (!socket_.empty()) return std::vector{socket_};
    auto config = load(log);
    if (!config) {
      return std::move(config).error().within(
          "the configuration tells where the gateway listens (or --socket)");
    }
    return control_sockets(*config, system_environment());
  }

  int ask(Command command) const {
    SystemClock clock;
    const auto log = make_stderr_log(LogLevel::error, LogFormat::logfmt);
    auto at = sockets(*log);
    if (!at) return fail(at.error());
    const auto client = ControlClient::connect(*std::move(at), clock, *log);
    if (!client) return fail(client.error());
    Commands commands(**client, clock, std::cout, cli::standard_error());
    const auto status = (commands.*command)(options_);
    return status ? *status : fail(status.error());
  }
  void asks(CLI::App& app, Command command) {
    app.callback([this, command] { action_ = [this, command] { return ask(command); }; });
  }
  void add_json(CLI::App& app) { app.add_flag("--json", options_.json, "What the gateway answers, as JSON"); }
  void add_artifacts(CLI::App& app, bool is_required) {
    app.add_option("ARTIFACT", options_.artifacts, "Names or keys, as `cache ls` shows them")
        ->required(is_required);
  }

  void declare_check() {
    CLI::App& check =
        *app_.add_subcommand("check", "Look at the configuration and its files; say all that is wrong");
    check.footer(
        "Example:\n  postern-gateway check --config mender-gateway.conf && systemctl reload postern-gateway");
    check.callback([this] { action_ = [this] { return this->check(); }; });
  }

  void declare_status() {
    CLI::App& status = *app_.add_subcommand("status", "Show how the gateway is");
    add_json(status);
    status.footer("Example:\n  postern-gateway status --json | jq .upstreams");
    asks(status, &Commands::status);
  }

  void declare_cache() {
    CLI::App& cache = *app_.add_subcommand("cache", "Look at the stored artifacts, and keep order");
    cache.require_subcommand(1);
    const auto command = [&](const char* name, const char* help, Command does) -> CLI::App& {
      CLI::App& app = *cache.add_subcommand(name, help);
      add_json(app);
      asks(app, does);
      return app;
    };
    command("ls", "List what is here", &Commands::list_cache).alias("list");
    CLI::App& verify = command("verify",
                               "Read what is here and compare it with its digests; bad parts are "
                               "fetched again",
                               &Commands::verify);
    add_artifacts(verify, false);
    verify.footer("Without names everything is verified. Exit status 3: something was bad.");
    add_artifacts(command("pin", "Keep artifacts, whatever room is needed", &Commands::pin), true);
    add_artifacts(command("unpin", "Let artifacts go when room is needed", &Commands::unpin), true);
    CLI::App& evict = command("evict", "Remove artifacts, with their pins and refusals", &Commands::evict);
    add_artifacts(evict, true);
    evict.add_flag("--force", options_.force, "Also while they are read: the readers go on past the cache");
    command("gc", "Give room back that no artifact needs", &Commands::collect);
  }

  void declare_prefetch() {
    CLI::App& prefetch = *app_.add_subcommand("prefetch", "Fetch an artifact before a device asks for it");
    CLI::Option* what = prefetch.add_option(
        "ARTIFACT", options_.what, "Name of an artifact at the upstream, or a URL that may be fetched from");
    CLI::Option* at =
        prefetch.add_option("--at", options_.at, "When: 22:30, \"2026-05-01 22:30\" or 2026-05-01T22:30:00Z")
            ->type_name("TIME");
    CLI::Option* daily =
        prefetch.add_option("--daily", options_.daily, "Every day at this time of the machine's time zone")
            ->type_name("HH:MM")
            ->excludes(at);
    CLI::Option* wait = prefetch.add_flag("--wait", options_.wait, "Follow it to its end");
    CLI::Option* list =
        prefetch.add_flag("--list", list_, "List prefetches")->excludes(what, at, daily, wait);
    prefetch.add_option("--cancel", options_.id, "End a prefetch and forget it; what it has brought stays")
        ->type_name("NUMBER")
        ->excludes(what, at, daily, wait, list);
    add_json(prefetch);
    prefetch.footer(
        "Examples:\n"
        "  postern-gateway prefetch release-7 --wait\n"
        "  postern-gateway prefetch release-7 --at 22:30\n"
        "  postern-gateway prefetch https://cloud.example/images/full.mender --daily 03:00\n"
        "Prefetches give way to every download of a device, are tried again when they fail, and outlast a\n"
        "restart. Exit status with --wait: 3 when it has failed for good.");
    prefetch.callback([this, &prefetch] {
      const bool is_cancel = prefetch.count("--cancel") > 0;
      if (!list_ && !is_cancel && options_.what.empty()) throw CLI::RequiredError("ARTIFACT");
      const Command command = list_       ? &Commands::list_prefetches
                              : is_cancel ? &Commands::cancel_prefetch
                                          : &Commands::prefetch;
      action_ = [this, command] { return ask(command); };
    });
  }

  std::string config_path_ = kDefaultConfig;
  std::string level_;
  std::string socket_;
  CommandOptions options_;
  bool list_ = false;
  CLI::App app_;
  std::function<int()> action_ = [this] { return serve(); };
};

}  // namespace
}  // namespace postern::gateway

int main(int argc, char** argv) {
  umask(077);
  (void)std::signal(SIGPIPE, SIG_IGN);
  return postern::gateway::CommandLine().run(argc, argv);
}
