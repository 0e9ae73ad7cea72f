// postern: the operator's command line.
#include <csignal>

#include <sys/stat.h>
#include <CLI/CLI.hpp>

#include "cloud/cli/completion.hpp"
#include "cloud/cli/password.hpp"
#include "cloud/cli/program.hpp"

namespace postern::cli {
namespace {

constexpr const char* kFooter = R"(Examples:
  postern --server https://cloud.example --ca server-ca.crt login admin
  postern artifact upload release-1.mender
  postern device accept --all
  postern deployment create --name spring --artifact release-1 --all --watch

The options above may stand anywhere. Server, CA and token are remembered by `login`; POSTERN_SERVER,
POSTERN_CA and POSTERN_TOKEN win over what is remembered, and options over both. Every command has --help.
Exit status: 0 done, 1 failed, 2 wrong usage, 3 a watched deployment failed or was aborted on a device.)";

/// Everything that a command line can say.
struct Options {
  Session flags;
  std::string output = "table";
  std::string name;
  std::string password_file;
  std::string new_password_file;
  std::string email;
  std::string lifetime;
  std::string since;
  AuditOptions audit;
  std::string path;
  std::string description;
  std::string id;
  std::string status;
  std::string watch_max = "24h";
  std::string wait_max = "10m";
  DecideOptions decide;
  CreateOptions create;
  bool watch = false;
};

/// Declares the commands; each puts what it does into `action_`.
class CommandLine {
 public:
  CommandLine() : app_("Operates a Postern cloud, or any server with Mender's management API.", "postern") {
    app_.footer(kFooter);
    app_.set_version_flag("--version", "postern " POSTERN_VERSION);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--server", options_.flags.server, "Where the server is, as https://HOST[:PORT]")
        ->type_name("URL");
    app_.add_option("--ca", options_.flags.ca,
                    "CA certificates that the server is checked against (PEM) [the system's]")
        ->type_name("FILE");
    app_.add_option("--output", options_.output, "What goes to standard output")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
    declare_login();
    declare_artifact();
    declare_device();
    declare_decision("accept", "Let devices in", "accepted",
                     "Examples:\n"
                     "  postern device accept 0a31c2d4-5b7e-4c11-9d7a-0e4f6b1c2d3e\n"
                     "  postern device accept --all\n"
                     "  postern device accept --all --wait 5 --timeout 2m");
    declare_decision("reject", "Keep devices out", "rejected",
                     "Example:\n"
                     "  postern device reject 0a31c2d4-5b7e-4c11-9d7a-0e4f6b1c2d3e\n"
                     "Rejects every key of the device, also one that was accepted.");
    declare_gateway();
    declare_create();
    declare_deployment();
    declare_user();
    declare_token();
    declare_audit();
    declare_completion();
    declare_why();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? 0 : kWrongUsage;
    }
    return action_();
  }

 private:
  /// A command's function: text of it goes to standard output.
  using Print = Text (*)(Context&, const Options&);

  void does(CLI::App& command, std::function<int(Program&)> action) {
    command.callback(
        [this, action = std::move(action)] { action_ = [this, action] { return with_program(action); }; });
  }
  void prints(CLI::App& command, Print text) {
    does(command, [this, text](Program& program) {
      return program.print([this, text](Context& context) { return text(context, options_); });
    });
  }
  int with_program(const std::function<int(Program&)>& action) {
    auto program = Program::make(options_.flags, options_.output == "json" ? Output::json : Output::table);
    return program ? action(**program) : fail(program.error());
  }

  int log_in() {
    // Before the program has threads: they would take the signals that the question holds back.
    const auto password = get_password(options_.password_file, system_environment());
    if (!password) return fail(password.error());
    return with_program([&](Program& program) { return program.log_in(options_.name, *password); });
  }

  /// An option that holds a duration, and says so when it holds none.
  static void add_timeout(CLI::App& command, std::string& target, const std::string& help) {
    command.add_option("--timeout", target, help)
        ->type_name("DURATION")
        ->check([](const std::string& text) {
          const auto duration = parse_duration(text);
          return duration ? std::string() : duration.error().what;
        })
        ->capture_default_str();
  }
  /// One that was checked while it was parsed.
  static Duration duration(const std::string& text) { return parse_duration(text).value(); }

  void declare_login() {
    CLI::App& login = *app_.add_subcommand("login", "Log in, and remember server, CA and token");
    login.add_option("NAME", options_.name, "User name")->required();
    login.add_option("--password-file", options_.password_file, "File that holds the password")
        ->type_name("FILE");
    login.footer(
        "Example:\n  postern --server https://cloud.example --ca server-ca.crt login admin\n"
        "Without a file the password is that of POSTERN_PASSWORD, or is asked for on the terminal.");
    login.callback([this] { action_ = [this] { return log_in(); }; });
    CLI::App& logout = *app_.add_subcommand("logout", "End the session, and forget its token");
    logout.footer("Example:\n  postern logout");
    does(logout, [](Program& program) { return program.log_out(); });
  }

  void declare_artifact() {
    CLI::App& artifact = *app_.add_subcommand("artifact", "Upload and look at artifacts");
    artifact.require_subcommand(1);
    CLI::App& upload = *artifact.add_subcommand("upload", "Upload an artifact; prints its id");
    upload.add_option("FILE", options_.path, "Artifact file (.mender)")->required();
    upload.add_option("--description", options_.description, "Shown with the artifact")->type_name("TEXT");
    upload.footer("Example:\n  postern artifact upload release-1.mender --description 'spring release'");
    prints(upload, [](Context& c, const Options& o) { return upload_artifact(c, o.path, o.description); });
    CLI::App& list = *artifact.add_subcommand("list", "List all artifacts");
    list.footer("Example:\n  postern artifact list --output json");
    prints(list, [](Context& c, const Options&) { return list_artifacts(c); });
    CLI::App& show = *artifact.add_subcommand("show", "Show one artifact, or all of one name");
    show.add_option("ARTIFACT", options_.id, "Name or id")->required();
    show.footer("Example:\n  postern artifact show release-1");
    prints(show, [](Context& c, const Options& o) { return show_artifact(c, o.id); });
    CLI::App& erase =
        *artifact.add_subcommand("delete", "Delete an artifact that no unfinished deployment uses");
    erase.add_option("ARTIFACT", options_.id, "Name or id")->required();
    erase.footer("Example:\n  postern artifact delete release-1");
    prints(erase, [](Context& c, const Options& o) { return delete_artifact(c, o.id); });
  }

  void declare_device() {
    device_ = app_.add_subcommand("device", "Let devices in and look at them");
    device_->require_subcommand(1);
    CLI::App& list = *device_->add_subcommand("list", "List devices");
    list.add_option("--status", options_.status, "Only these")
        ->check(CLI::IsMember({"pending", "accepted", "rejected", "preauthorized", "noauth"}));
    list.footer("Example:\n  postern device list --status pending");
    prints(list, [](Context& c, const Options& o) { return list_devices(c, o.status); });
    CLI::App& show = *device_->add_subcommand("show", "Show a device with its auth sets and inventory");
    show.add_option("ID", options_.id, "Device id")->required();
    show.footer("Example:\n  postern device show 0a31c2d4-5b7e-4c11-9d7a-0e4f6b1c2d3e");
    prints(show, [](Context& c, const Options& o) { return show_device(c, o.id); });
  }

  void declare_decision(const std::string& word, const std::string& help, const char* status,
                        const std::string& footer) {
    CLI::App& command = *device_->add_subcommand(word, help);
    CLI::Option_group& which = *command.add_option_group("Which");
    CLI::Option* ids = which.add_option("ID", options_.decide.ids, "Device ids");
    CLI::Option* all = which.add_flag("--all", options_.decide.all_pending, "All that are pending");
    which.require_option(1);
    command.add_option("--auth-set", options_.decide.auth_set, "With one ID: the auth set that is meant")
        ->type_name("ID")
        ->needs(ids);
    command
        .add_option("--wait", options_.decide.wait_for, "With --all: first wait until so many are pending")
        ->type_name("COUNT")
        ->check(CLI::Range(0, 1'000'000))  // a negative number would be read as a huge one
        ->needs(all);
    add_timeout(command, options_.wait_max, "Longest wait, as in 90s or 10m");
    command.footer(footer);
    command.callback([this, status] {
      if (!options_.decide.auth_set.empty() && options_.decide.ids.size() != 1) {
        throw CLI::ValidationError("--auth-set", "goes with one ID");
      }
      action_ = [this, status] {
        return with_program([this, status](Program& program) { return decide(program, status); });
      };
    });
  }
  int decide(Program& program, const char* status) {
    options_.decide.timeout = duration(options_.wait_max);
    return program.print([&](Context& context) { return decide_devices(context, status, options_.decide); },
                         kFailed);
  }

  void declare_gateway() {
    CLI::App& gateway = *app_.add_subcommand("gateway", "Look at gateways and the devices behind them");
    gateway.require_subcommand(1);
    CLI::App& list = *gateway.add_subcommand("list", "List the gateways that this cloud has seen");
    list.footer("Example:\n  postern gateway list");
    prints(list, [](Context& c, const Options&) { return list_gateways(c); });
    CLI::App& show = *gateway.add_subcommand("show", "Show a gateway and its devices");
    show.add_option("GATEWAY", options_.id, "Name or id")->required();
    show.footer("Example:\n  postern gateway show plant-4");
    prints(show, [](Context& c, const Options& o) { return show_gateway(c, o.id); });
  }

  void declare_create() {
    deployment_ = app_.add_subcommand("deployment", "Roll out artifacts and follow them");
    deployment_->require_subcommand(1);
    CLI::App& create =
        *deployment_->add_subcommand("create", "Roll an artifact out; prints the deployment's id");
    create.add_option("--name", options_.create.name, "Name of the deployment")->required();
    create.add_option("--artifact", options_.create.artifact, "Name of the artifact")->required();
    CLI::Option_group& targets = *create.add_option_group("Targets");
    CLI::Option* device =
        targets.add_option("--device", options_.create.devices, "Device id; may be given many times")
            ->type_name("ID");
    targets.add_flag("--all", options_.create.all_devices, "All devices that are accepted now");
    CLI::Option* site =
        targets.add_option("--site", options_.create.site, "All devices that are at the site when they ask")
            ->type_name("SITE");
    CLI::Option* filter = targets
                              .add_option("--filter", options_.create.filters,
                                          "All devices that say so when they ask, as room=a or "
                                          "identity/mac=00:11; may be given many times")
                              ->type_name("[SCOPE/]NAME=VALUE");
    device->excludes(site)->excludes(filter);
    targets.require_option(1);
    declare_plan(create);
    create.add_flag("--force", options_.create.force, "Install even where the artifact is installed already");
    create
        .add_option("--retries", options_.create.retries,
                    "How often a device that failed may try again; some servers ignore it")
        ->type_name("COUNT");
    create.add_flag("--watch", options_.watch, "Follow it to its end, as `watch` does");
    add_timeout(create, options_.watch_max, "Longest watch, as in 90s or 24h");
    create.footer(
        "Examples:\n"
        "  postern deployment create --name spring --artifact release-1 --all --watch\n"
        "  postern deployment create --name trial --artifact release-1 --device ID1 --device ID2\n"
        "  postern deployment create --name slow --artifact release-1 --all --phases 10%@now,50%@+1h,100% "
        "\\\n"
        "      --max-failures 10% --window 'Mon-Fri 22:00-05:00' --concurrent 50");
    does(create, [this](Program& program) {
      return program.create_deployment(options_.create, options_.watch, duration(options_.watch_max));
    });
  }

  void declare_plan(CLI::App& create) {
    create
        .add_option("--phases", options_.create.phases,
                    "Batches and when they begin; the last takes the rest")
        ->type_name("SIZE[%][@now|@+DURATION|@TIME|@resume],...");
    create.add_option("--max-failures", options_.create.max_failures, "Stop when so many devices failed")
        ->type_name("COUNT|SHARE%");
    create.add_option("--window", options_.create.windows, "When updates may begin; may be given many times")
        ->type_name("DAYS HH:MM-HH:MM");
    create.add_option("--concurrent", options_.create.concurrent, "Devices that update at once")
        ->type_name("COUNT")
        ->check(CLI::Range(1, 100'000'000));
    create.add_option("--concurrent-per-site", options_.create.concurrent_per_site, "The same at each site")
        ->type_name("COUNT")
        ->check(CLI::Range(1, 100'000'000));
  }

  void declare_steering(const std::string& word, const std::string& help, const char* status,
                        const char* done) {
    CLI::App& command = *deployment_->add_subcommand(word, help);
    command.add_option("ID", options_.id, "Deployment id")->required();
    command.footer(
        fmt::format("Example:\n  postern deployment {} 5d0c4f0e-93a5-4c0f-a0f4-2f6b6f0f3a55", word));
    does(command, [this, status, done](Program& program) {
      return program.print(
          [&](Context& context) { return steer_deployment(context, options_.id, status, done); });
    });
  }

  void declare_why() {
    CLI::App& command = *app_.add_subcommand("why", "Say why a device is not updating");
    command.add_option("DEVICE", options_.id, "Device id")->required();
    command.footer("Example:\n  postern why 0a31c2d4-5b7e-4c11-9d7a-0e4f6b1c2d3e");
    prints(command, [](Context& c, const Options& o) { return why(c, o.id); });
  }

  void declare_deployment() {
    CLI::App& list = *deployment_->add_subcommand("list", "List deployments, youngest first");
    list.footer("Example:\n  postern deployment list");
    prints(list, [](Context& c, const Options&) { return list_deployments(c); });
    CLI::App& show = *deployment_->add_subcommand("show", "Show a deployment and its devices");
    show.add_option("ID", options_.id, "Deployment id")->required();
    show.footer("Example:\n  postern deployment show 5d0c4f0e-93a5-4c0f-a0f4-2f6b6f0f3a55");
    prints(show, [](Context& c, const Options& o) { return show_deployment(c, o.id); });
    CLI::App& watch =
        *deployment_->add_subcommand("watch", "Follow a deployment to its end, then show its devices");
    watch.add_option("ID", options_.id, "Deployment id")->required();
    add_timeout(watch, options_.watch_max, "Longest watch, as in 90s or 24h");
    watch.footer("Example:\n  postern deployment watch 5d0c4f0e-93a5-4c0f-a0f4-2f6b6f0f3a55 --timeout 2h");
    does(watch, [this](Program& program) {
      return program.print(
          [&](Context& context) {
            return watch_deployment(context, options_.id, duration(options_.watch_max));
          },
          kDeploymentFailed);
    });
    declare_steering("pause", "Let no further device begin", "paused", "paused");
    declare_steering("resume", "Go on with a deployment that is paused, stopped or waits for its next phase",
                     "inprogress", "resumed");
    declare_steering("abort", "End a deployment for all devices that are not done", "aborted", "aborted");
    CLI::App& stuck = *deployment_->add_subcommand("stuck", "List devices that do not get on with an update");
    stuck.footer("Example:\n  postern deployment stuck");
    prints(stuck, [](Context& c, const Options&) { return stuck_devices(c); });
  }

  /// A command that needs the user's own password.
  int with_password(const std::function<Text(Context&, const std::string&)>& command) {
    const auto password = get_password(options_.password_file, system_environment());
    if (!password) return fail(password.error());
    return with_program([&](Program& program) {
      return program.print([&](Context& context) { return command(context, *password); });
    });
  }
  int add_user() {
    const auto password = get_new_password(options_.new_password_file, system_environment());
    if (!password) return fail(password.error());
    return with_program([&](Program& program) {
      return program.print([&](Context& c) { return cli::add_user(c, options_.email, *password); });
    });
  }
  int rename_user() {
    const auto rename = [&](Context& c, const std::string& password) {
      return cli::rename_user(c, options_.id, options_.email, password);
    };
    if (options_.id == "me") return with_password(rename);
    return with_program([&](Program& program) {
      return program.print([&](Context& context) { return rename(context, ""); });
    });
  }
  int change_password() {
    const auto current = get_password(options_.password_file, system_environment());
    if (!current) return fail(current.error());
    const auto wanted = get_new_password(options_.new_password_file, system_environment());
    if (!wanted) return fail(wanted.error());
    return with_program([&](Program& program) {
      return program.print([&](Context& c) { return cli::change_password(c, *current, *wanted); });
    });
  }

  void add_password_file(CLI::App& command) {
    command.add_option("--password-file", options_.password_file, "File that holds your password")
        ->type_name("FILE");
  }
  void add_new_password_file(CLI::App& command) {
    command.add_option("--new-password-file", options_.new_password_file, "File that holds the new password")
        ->type_name("FILE");
  }
  /// An option that holds a duration and may be missing.
  static CLI::Option& add_duration(CLI::App& command, const std::string& name, std::string& target,
                                   const std::string& help) {
    return *command.add_option(name, target, help)->type_name("DURATION")->check([](const std::string& text) {
      const auto duration = parse_duration(text);
      return duration ? std::string() : duration.error().what;
    });
  }

  void declare_user() {
    CLI::App& user = *app_.add_subcommand("user", "Make, change and remove users");
    user.require_subcommand(1);
    CLI::App& list = *user.add_subcommand("list", "List users");
    list.footer("Example:\n  postern user list");
    prints(list, [](Context& c, const Options&) { return list_users(c); });
    CLI::App& add = *user.add_subcommand("add", "Make a user; prints the id");
    add.add_option("EMAIL", options_.email, "E-mail address to log in with")->required();
    add_new_password_file(add);
    add.footer(
        "Example:\n  postern user add ops@example.com --new-password-file password\n"
        "Without a file the password is that of POSTERN_NEW_PASSWORD, or is asked for.");
    add.callback([this] { action_ = [this] { return add_user(); }; });
    CLI::App& edit = *user.add_subcommand("edit", "Change a user's e-mail address; ends the user's tokens");
    edit.add_option("USER", options_.id, "E-mail address, id, or `me`")->required();
    edit.add_option("--email", options_.email, "The new address")->type_name("EMAIL")->required();
    add_password_file(edit);
    edit.footer(
        "Examples:\n  postern user edit ops@example.com --email night@example.com\n"
        "  postern user edit me --email day@example.com\n"
        "For `me` your password is wanted: from a file, POSTERN_PASSWORD, or as you type it.");
    edit.callback([this] { action_ = [this] { return rename_user(); }; });
    CLI::App& erase = *user.add_subcommand("delete", "Remove a user with all tokens");
    erase.add_option("USER", options_.id, "E-mail address or id")->required();
    erase.footer("Example:\n  postern user delete ops@example.com");
    prints(erase, [](Context& c, const Options& o) { return delete_user(c, o.id); });
    CLI::App& password = *user.add_subcommand("password", "Change your own password; ends your other tokens");
    add_password_file(password);
    add_new_password_file(password);
    password.footer(
        "Example:\n  postern user password\n"
        "Without files the passwords are those of POSTERN_PASSWORD and POSTERN_NEW_PASSWORD, or are "
        "asked for.");
    password.callback([this] { action_ = [this] { return change_password(); }; });
  }

  void declare_token() {
    CLI::App& token = *app_.add_subcommand("token", "Personal access tokens, for scripts");
    token.require_subcommand(1);
    CLI::App& list = *token.add_subcommand("list", "List your tokens");
    list.footer("Example:\n  postern token list");
    prints(list, [](Context& c, const Options&) { return list_tokens(c); });
    CLI::App& create = *token.add_subcommand("create", "Make a token and print it, this once");
    create.add_option("NAME", options_.name, "What it is for")->required();
    add_duration(create, "--expires", options_.lifetime, "When it ends, as in 24h or 90d [never]");
    create.footer("Example:\n  POSTERN_TOKEN=$(postern token create build-server --expires 90d)");
    prints(create, [](Context& c, const Options& o) {
      const Duration lifetime = o.lifetime.empty() ? Duration(0) : duration(o.lifetime);
      return create_token(c, o.name, std::chrono::ceil<std::chrono::seconds>(lifetime));
    });
    CLI::App& erase = *token.add_subcommand("delete", "End a token");
    erase.add_option("TOKEN", options_.id, "Name or id")->required();
    erase.footer("Example:\n  postern token delete build-server");
    prints(erase, [](Context& c, const Options& o) { return delete_token(c, o.id); });
  }

  void declare_audit() {
    CLI::App& audit = *app_.add_subcommand("audit", "Who changed what, the newest first");
    add_duration(audit, "--since", options_.since, "No older than that, as in 24h or 7d");
    audit.add_option("--actor", options_.audit.actor, "Only what this user did: e-mail address or id")
        ->type_name("USER");
    audit
        .add_option("--object", options_.audit.object,
                    "Only what was done to this: id, or a type as in device")
        ->type_name("OBJECT");
    audit.add_option("--count", options_.audit.count, "At most so many")
        ->type_name("COUNT")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    audit.footer(
        "Examples:\n  postern audit --since 24h\n"
        "  postern audit --actor ops@example.com --object deployment --output json");
    prints(audit, [](Context& c, const Options& o) {
      AuditOptions options = o.audit;
      if (!o.since.empty()) options.since = duration(o.since);
      return list_audit(c, options);
    });
  }

  void declare_completion() {
    CLI::App& completion =
        *app_.add_subcommand("completion", "Print a script that completes commands in a shell");
    completion.add_option("SHELL", options_.name, "Which shell")
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->required();
    completion.footer(
        "Examples:\n  source <(postern completion bash)\n"
        "  postern completion fish > ~/.config/fish/completions/postern.fish");
    completion.callback([this] { action_ = [this] { return print_completion(); }; });
  }
  int print_completion() {
    const Shell shell = options_.name == "bash"  ? Shell::bash
                        : options_.name == "zsh" ? Shell::zsh
                                                 : Shell::fish;
    return write_out(completion_script(app_, shell));
  }

  Options options_;
  CLI::App app_;
  CLI::App* device_ = nullptr;
  CLI::App* deployment_ = nullptr;
  std::function<int()> action_;
};

}  // namespace
}  // namespace postern::cli

int main(int argc, char** argv) {
  umask(077);
  (void)std::signal(SIGPIPE, SIG_IGN);
  return postern::cli::CommandLine().run(argc, argv);
}
