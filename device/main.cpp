// postern-device: keeps a device up to date, by itself as a daemon, or by hand.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include <CLI/CLI.hpp>

#include "device/commands.hpp"
#include "device/daemon.hpp"

namespace postern::device {
namespace {

constexpr const char* kFooter = R"(Examples:
  Serve, as a service does:
    postern-device daemon
  Install by hand, look whether the machine is well, and keep it or undo it:
    postern-device install release-7.mender
    postern-device commit
    postern-device rollback
  Install from elsewhere:
    postern-device install https://files.example.com/release-7.mender
    ssh build-machine cat release-7.mender | postern-device install -
  Let the daemon ask for work now:
    postern-device check-update

Global options stand before the command. Directories can also be given as MENDER_CONF_DIR, MENDER_DATA_DIR and
MENDER_DATASTORE_DIR.
Exit status: 0 success, 1 an error, 2 no update in progress, 4 success and a reboot is needed (with
--reboot-exit-code).)";

struct CommandLine {
  std::string config, fallback, datastore, log_file, log_level, trusted_certificates;
  bool skip_verify = false;
  std::string source;
  bool with_reboot_status = false;
};

void add_global_options(CLI::App& program, CommandLine& line) {
  program.add_option("-c,--config", line.config, "Configuration (default: /etc/mender/mender.conf)")
      ->type_name("FILE");
  program
      .add_option("-b,--fallback-config", line.fallback,
                  "Configuration that is loaded first (default: DATASTORE/mender.conf)")
      ->type_name("FILE");
  program
      .add_option("-d,--datastore,--data", line.datastore, "Where state is kept (default: /var/lib/mender)")
      ->type_name("DIR");
  program.add_option("-L,--log-file", line.log_file, "Log to this file instead of standard error")
      ->type_name("FILE");
  program
      .add_option(
          "-l,--log-level", line.log_level,
          "trace, debug, info, warning, error or fatal (default: the daemon's from the configuration, else "
          "warning)")
      ->type_name("LEVEL");
  program
      .add_option("-E,--trusted-certs", line.trusted_certificates,
                  "More authorities for servers' certificates (PEM)")
      ->type_name("FILE");
  program.add_flag("--skipverify", line.skip_verify, "Do not check servers' certificates; for tests only");
}

/// Standard error becomes the file; returns where standard error was.
Result<int> redirect_log(const std::string& path) {
  const int before = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (before < 0) return from_errno(errno, "standard error");
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return from_errno(errno, fmt::format("open log file {}", path));
  if (::dup2(file, STDERR_FILENO) < 0) return from_errno(errno, "standard error");
  ::close(file);
  return before;
}

struct Prepared {
  Setup setup;
  std::unique_ptr<Log> log;
};

Result<Prepared> prepare(const CommandLine& line, bool is_daemon) {
  auto log = make_stderr_log(LogLevel::warn, LogFormat::logfmt);
  Setup setup{.paths = Paths::from_environment(system_environment()), .version = POSTERN_VERSION};
  if (!line.datastore.empty()) setup.paths.datastore = line.datastore;
  POSTERN_TRY(setup.settings,
              load_settings(setup.paths, {.main = line.config, .fallback = line.fallback}, *log));
  if (!line.trusted_certificates.empty()) setup.settings.server_certificate = line.trusted_certificates;
  setup.settings.skip_verify = setup.settings.skip_verify || line.skip_verify;
  LogLevel level = is_daemon ? setup.settings.daemon_log_level : LogLevel::warn;
  if (!line.log_level.empty()) {
    POSTERN_TRY(level, parse_client_log_level(line.log_level));
  }
  return Prepared{std::move(setup), make_stderr_log(level, LogFormat::logfmt)};
}

Result<int> run_command(const std::string& name, const CommandLine& line) {
  POSTERN_TRY(const Prepared prepared, prepare(line, name == "daemon"));
  const Setup& setup = prepared.setup;
  Log& log = *prepared.log;
  if (name == "daemon") {
    POSTERN_CHECK(run_daemon(setup, log));
    return 0;
  }
  if (name == "install") return install(setup, line.source, line.with_reboot_status, log);
  if (name == "commit") return commit(setup, log);
  if (name == "rollback") return roll_back(setup, log);
  if (name == "resume") return resume(setup, log);
  if (name == "show-artifact") return show_artifact(setup, log);
  if (name == "show-provides") return show_provides(setup, log);
  if (name == "check-update") return signal_daemon(setup, SIGUSR1);
  if (name == "send-inventory") return signal_daemon(setup, SIGUSR2);
  return bug(fmt::format("command {} does nothing", name));
}

void say_error(int to, std::string_view what) {
  const std::string text = fmt::format("Could not fulfill request: {}\n", what);
  if (::write(to, text.data(), text.size()) < 0) std::cerr << text;
}

void add_commands(CLI::App& program, CommandLine& line) {
  program.require_subcommand(1);
  program.add_subcommand("daemon", "Ask the server for updates and install them, until a signal ends it");
  CLI::App* install =
      program.add_subcommand("install", "Install an artifact; it waits for commit or rollback");
  install->add_option("artifact", line.source, "File, http or https URL, or - for standard input")
      ->required();
  install->add_flag("--reboot-exit-code", line.with_reboot_status, "Exit with 4 when a reboot is needed");
  program.add_subcommand("commit", "Keep what was installed");
  program.add_subcommand("rollback", "Undo what was installed");
  program.add_subcommand("resume", "Go on with a command that was interrupted");
  program.add_subcommand("show-artifact", "Print the name of what is installed");
  program.add_subcommand("show-provides", "Print everything that what is installed provides");
  program.add_subcommand("check-update", "Let the daemon ask for an update now");
  program.add_subcommand("send-inventory", "Let the daemon send the inventory now");
}

int main(int argc, char** argv) {
  CommandLine line;
  CLI::App program("Keeps a device up to date, in a way that it always comes back.", "postern-device");
  program.footer(kFooter);
  program.set_version_flag("-v,--version", "postern-device " POSTERN_VERSION);
  add_global_options(program, line);
  add_commands(program, line);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    std::cout << program.help() << std::flush;
    say_error(STDERR_FILENO, fmt::format("Invalid options given: {}", error.what()));
    return 1;
  }
  (void)std::signal(SIGPIPE, SIG_IGN);
  int error_output = STDERR_FILENO;
  if (!line.log_file.empty()) {
    const auto before = redirect_log(line.log_file);
    if (!before) {
      say_error(STDERR_FILENO, before.error().what);
      return 1;
    }
    error_output = *before;
  }
  const auto status = run_command(program.get_subcommands().front()->get_name(), line);
  if (status) return *status;
  say_error(error_output, status.error().what);
  return 1;
}

}  // namespace
}  // namespace postern::device

int main(int argc, char** argv) {
  return postern::device::main(argc, argv);
}
