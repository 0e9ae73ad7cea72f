// postern: the operator's command line.
#include <csignal>
#include <cstdlib>
#include <iostream>

#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/session.hpp"
#include "shared/async/run.hpp"
#include "shared/io/file.hpp"
#include "shared/transport/tcp.hpp"

namespace postern::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kDeploymentFailed = 3;

constexpr const char* kFooter = R"(Examples:
  postern --server https://cloud.example --ca server-ca.crt login admin
  postern artifact upload release-1.mender
  postern device accept --all
  postern deployment create --name spring --artifact release-1 --all --watch

Server, CA and token are remembered by `login`; POSTERN_SERVER, POSTERN_CA and POSTERN_TOKEN win over what is remembered,
and flags over both. A password comes from the terminal, from --password-file, or from POSTERN_PASSWORD.
Exit status: 0 done, 1 failed, 2 wrong usage, 3 the watched deployment did not succeed on every device.)";

/// Everything that a command line can say.
struct Options {
  Session flags;
  std::string output = "table";
  std::string name;
  std::string password_file;
  std::string path;
  std::string description;
  std::string id;
  std::string status;
  std::string timeout = "24h";
  std::string wait_timeout = "10m";
  DecideOptions decide;
  CreateOptions create;
  bool watch = false;
};

/// Asks on the terminal, without showing what is typed.
Result<std::string> ask_password() {
  if (isatty(STDIN_FILENO) != 1) {
    std::string line;
    if (!std::getline(std::cin, line))
      return invalid("no password: give --password-file, or set POSTERN_PASSWORD");
    return line;
  }
  termios before{};
  if (tcgetattr(STDIN_FILENO, &before) != 0) return from_errno(errno, "read the terminal's settings");
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  std::cerr << "Password: " << std::flush;
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  std::string line;
  std::getline(std::cin, line);
  tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  std::cerr << '\n';
  return line;
}

Result<std::string> password(const Options& options) {
  if (!options.password_file.empty()) {
    POSTERN_TRY(std::string text, read_file(options.password_file, 64 << 10));
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    return text;
  }
  if (const auto variable = system_environment()("POSTERN_PASSWORD")) return *variable;
  return ask_password();
}

/// The part of the program that talks to the server.
class Program {
 public:
  static Result<std::unique_ptr<Program>> make(const Options& options) {
    POSTERN_TRY(std::string path, session_path(system_environment()));
    POSTERN_TRY(Session stored, load_session(path));
    Session session = effective_session(std::move(stored), system_environment(), options.flags);
    TlsClientOptions trust;
    if (!session.ca.empty()) {
      POSTERN_TRY(trust.trust_pem, read_file(session.ca));
    }
    POSTERN_TRY(auto tls, TlsClientContext::make(trust));
    return std::unique_ptr<Program>(new Program(std::move(path), std::move(session), std::move(tls)));
  }

  /// Runs a command that prints.
  template <class Command>
  int print(const Options& options, Command command) {
    return finish(with_context<std::string>(options, command));
  }
  int watch(const Options& options, const std::string& id) {
    const auto limit = parse_duration(options.timeout);
    if (!limit) return fail(limit.error());
    const auto watched = with_context<WatchResult>(
        options, [&](Context& context) { return watch_deployment(context, id, *limit); });
    if (!watched) return fail(watched.error());
    std::cout << watched->text;
    return watched->all_succeeded ? 0 : kDeploymentFailed;
  }
  int create(const Options& options) {
    const auto made = with_context<std::string>(
        options, [&](Context& context) { return create_deployment(context, options.create); });
    if (!made || !options.watch) return finish(made);
    std::cerr << "deployment " << *made;
    return watch(options, made->substr(0, made->find('\n')));
  }
  int log_in(const Options& options) {
    const auto secret = password(options);
    if (!secret) return fail(secret.error());
    auto api = ApiClient::make(http_, session_);
    if (!api) return fail(api.error());
    auto token = run(context_, api->log_in(options.name, *secret));
    if (!token) return fail(token.error());
    session_.token = *std::move(token);
    if (!session_.ca.empty()) session_.ca = absolute(session_.ca);
    if (auto saved = save_session(path_, session_); !saved) return fail(saved.error());
    std::cerr << "logged in at " << session_.server << '\n';
    return 0;
  }
  int log_out() {
    auto api = ApiClient::make(http_, session_);
    if (!api) return fail(api.error());
    const auto done = run(context_, api->send("POST", "v1/useradm/auth/logout", nullptr));
    if (!done && done.error().reason != Reason::unauthorized) return fail(done.error());
    session_.token.clear();
    if (auto saved = save_session(path_, session_); !saved) return fail(saved.error());
    return 0;
  }

  static int fail(const Error& error) {
    std::cerr << "postern: error: " << error.what << '\n';
    return kFailed;
  }

 private:
  Program(std::string path, Session session, std::shared_ptr<const TlsClientContext> tls)
      : path_(std::move(path)),
        session_(std::move(session)),
        http_(network_, clock_, {.tls = std::move(tls), .response_max = std::chrono::minutes(5)}) {}

  template <class T, class Command>
  Result<T> with_context(const Options& options, Command command) {
    POSTERN_TRY(ApiClient api, ApiClient::make(http_, session_));
    Context context{.api = api,
                    .clock = clock_,
                    .pool = pool_,
                    .output = options.output == "json" ? Output::json : Output::table};
    context_.restart();
    return run(context_, command(context));
  }
  static int finish(const Result<std::string>& text) {
    if (!text) return fail(text.error());
    std::cout << *text << std::flush;
    return std::cout ? 0 : kFailed;
  }
  static std::string absolute(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path.c_str(), nullptr), &std::free);
    return resolved ? std::string(resolved.get()) : path;
  }

  std::string path_;
  Session session_;
  SystemClock clock_;
  SystemNetwork network_;
  net::io_context context_{1};
  Pool pool_{1};
  http::Client http_;
};

/// Declares the commands; each puts what it does into `action`.
class CommandLine {
 public:
  using Action = std::function<int(Program&)>;

  CommandLine() : app_("Operates a Postern cloud, or any server with Mender's management API.", "postern") {
    app_.footer(kFooter);
    app_.set_version_flag("--version", "postern " POSTERN_VERSION);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--server", options_.flags.server, "Where the server is")->type_name("URL");
    app_.add_option("--ca", options_.flags.ca, "CA certificates that the server is checked against (PEM)")
        ->type_name("FILE");
    app_.add_option("--output", options_.output, "table or json")->check(CLI::IsMember({"table", "json"}));
    declare_login();
    declare_artifact();
    declare_device();
    declare_deployment();
  }

  int run_with(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? 0 : kWrongUsage;
    }
    auto program = Program::make(options_);
    return program ? action_(**program) : Program::fail(program.error());
  }

 private:
  void does(CLI::App& command, Action action) {
    command.callback([this, action = std::move(action)] { action_ = action; });
  }
  /// A command that prints what a function of commands.hpp returns.
  template <class Command>
  void prints(CLI::App& command, Command text) {
    does(command, [this, text](Program& program) {
      return program.print(options_, [this, text](Context& context) { return text(context, options_); });
    });
  }

  void declare_login() {
    CLI::App& login = *app_.add_subcommand("login", "Log in and remember server, CA and token");
    login.add_option("name", options_.name, "User name")->required();
    login.add_option("--password-file", options_.password_file, "File that holds the password")
        ->check(CLI::ExistingFile);
    login.footer("Example:\n  postern --server https://cloud.example --ca server-ca.crt login admin");
    does(login, [this](Program& program) { return program.log_in(options_); });
    does(*app_.add_subcommand("logout", "Log out and forget the token"),
         [](Program& program) { return program.log_out(); });
  }

  void declare_artifact() {
    CLI::App& artifact = *app_.add_subcommand("artifact", "Upload and look at artifacts");
    artifact.require_subcommand(1);
    CLI::App& upload = *artifact.add_subcommand("upload", "Upload an artifact; prints its id");
    upload.add_option("file", options_.path, "Artifact file (.mender)")->required();
    upload.add_option("--description", options_.description, "Shown with the artifact");
    upload.footer("Example:\n  postern artifact upload release-1.mender --description 'spring release'");
    prints(upload, [](Context& c, const Options& o) { return upload_artifact(c, o.path, o.description); });
    prints(*artifact.add_subcommand("list", "List all artifacts"),
           [](Context& c, const Options&) { return list_artifacts(c); });
    CLI::App& show = *artifact.add_subcommand("show", "Show one artifact, or all of a name");
    show.add_option("artifact", options_.id, "Name or id")->required();
    prints(show, [](Context& c, const Options& o) { return show_artifact(c, o.id); });
    CLI::App& erase =
        *artifact.add_subcommand("delete", "Delete an artifact that no unfinished deployment uses");
    erase.add_option("artifact", options_.id, "Name or id")->required();
    prints(erase, [](Context& c, const Options& o) { return delete_artifact(c, o.id); });
  }

  void declare_device() {
    CLI::App& device = *app_.add_subcommand("device", "Let devices in and look at them");
    device.require_subcommand(1);
    CLI::App& list = *device.add_subcommand("list", "List devices");
    list.add_option("--status", options_.status, "Only these")
        ->check(CLI::IsMember({"pending", "accepted", "rejected", "preauthorized", "noauth"}));
    prints(list, [](Context& c, const Options& o) { return list_devices(c, o.status); });
    CLI::App& show = *device.add_subcommand("show", "Show a device with its auth sets and inventory");
    show.add_option("id", options_.id, "Device id")->required();
    prints(show, [](Context& c, const Options& o) { return show_device(c, o.id); });
    declare_decision(device, "accept", "Let devices in", "accepted");
    declare_decision(device, "reject", "Keep devices out", "rejected");
  }

  void declare_decision(CLI::App& device, const std::string& word, const std::string& help,
                        const char* status) {
    CLI::App& command = *device.add_subcommand(word, help);
    auto* ids = command.add_option("id", options_.decide.ids, "Device ids");
    auto* all = command.add_flag("--all", options_.decide.all_pending, "All that are pending")->excludes(ids);
    command
        .add_option("--wait", options_.decide.wait_for, "With --all: first wait until so many are pending")
        ->needs(all);
    command.add_option("--timeout", options_.wait_timeout, "Longest wait, as in 90s or 10m")
        ->capture_default_str();
    command.footer(fmt::format("Example:\n  postern device {} --all", word));
    prints(command, [status](Context& c, const Options& o) { return decide(c, o, status); });
  }
  static Text decide(Context& context, const Options& options, const char* status) {
    DecideOptions chosen = options.decide;
    if (chosen.ids.empty() && !chosen.all_pending) co_return invalid("which devices? Give ids, or --all");
    POSTERN_CO_TRY(chosen.timeout, parse_duration(options.wait_timeout));
    co_return co_await decide_devices(context, status, std::move(chosen));
  }

  void declare_deployment() {
    CLI::App& deployment = *app_.add_subcommand("deployment", "Roll out artifacts and follow them");
    deployment.require_subcommand(1);
    CLI::App& create =
        *deployment.add_subcommand("create", "Roll an artifact out; prints the deployment's id");
    create.add_option("--name", options_.create.name, "Name of the deployment")->required();
    create.add_option("--artifact", options_.create.artifact, "Name of the artifact")->required();
    auto* devices =
        create.add_option("--device", options_.create.devices, "Device id; may be given many times");
    create.add_flag("--all", options_.create.all_devices, "All devices that are accepted now")
        ->excludes(devices);
    create.add_flag("--force", options_.create.force, "Install even where the artifact is installed already");
    create.add_flag("--watch", options_.watch, "Follow it to its end");
    create.add_option("--timeout", options_.timeout, "Longest watch, as in 90s or 24h")
        ->capture_default_str();
    create.footer("Example:\n  postern deployment create --name spring --artifact release-1 --all --watch");
    does(create, [this](Program& program) { return program.create(options_); });
    prints(*deployment.add_subcommand("list", "List deployments, youngest first"),
           [](Context& c, const Options&) { return list_deployments(c); });
    CLI::App& show = *deployment.add_subcommand("show", "Show a deployment and its devices");
    show.add_option("id", options_.id, "Deployment id")->required();
    prints(show, [](Context& c, const Options& o) { return show_deployment(c, o.id); });
    CLI::App& watch = *deployment.add_subcommand("watch", "Follow a deployment to its end");
    watch.add_option("id", options_.id, "Deployment id")->required();
    watch.add_option("--timeout", options_.timeout, "Longest watch, as in 90s or 24h")->capture_default_str();
    does(watch, [this](Program& program) { return program.watch(options_, options_.id); });
    CLI::App& abort =
        *deployment.add_subcommand("abort", "End a deployment for all devices that are not done");
    abort.add_option("id", options_.id, "Deployment id")->required();
    prints(abort, [](Context& c, const Options& o) { return abort_deployment(c, o.id); });
  }

  CLI::App app_;
  Options options_;
  Action action_;
};

}  // namespace
}  // namespace postern::cli

int main(int argc, char** argv) {
  umask(077);
  (void)std::signal(SIGPIPE, SIG_IGN);
  return postern::cli::CommandLine().run_with(argc, argv);
}
