// postern-pki: the operator's certificate tool.
#include <cstdio>
#include <filesystem>
#include <list>

#include <CLI/CLI.hpp>

#include "pki/issue.hpp"
#include "pki/show.hpp"
#include "shared/io/file.hpp"

namespace postern {
namespace {

constexpr int kFailed = 1;
constexpr int kMisused = 2;

constexpr std::string_view kAbout = R"(Makes the certificates of a Postern installation.

Servers, gateways, devices and plan signing each have a root of their own, so that a certificate of one kind
is worth nothing as another. The authority is a directory: $POSTERN_PKI, or ./pki, or what --ca says.)";

constexpr std::string_view kExamples = R"(Examples:
  postern-pki init pki --name "Plant 4"
  postern-pki issue server --name cloud --dns cloud.example.com --out cloud
  postern-pki issue server --name gw-inside --dns gateway.plant --ip 10.0.0.1 --out gw-inside
  postern-pki issue gateway --name gw-4 --site plant-4 --out gw-outside
  postern-pki issue device --name press-7 --out press-7
  postern-pki issue plan-signing --name cloud --out plan
  postern-pki revoke press-7.crt
  postern-pki show
Exit status: 0 done, 1 failed, 2 the command line was wrong.)";

std::optional<KeyType> parse_key_type(std::string_view word) {
  for (const KeyType type : {KeyType::ecdsa, KeyType::ed25519, KeyType::rsa}) {
    if (to_string(type) == word) return type;
  }
  return std::nullopt;
}

/// Everything the command line can say.
struct Arguments {
  std::string authority = "./pki";
  std::string path;  ///< of init, revoke and show
  std::string name;
  std::string site;
  std::string key = "ecdsa";
  std::string request;
  std::string prefix;
  std::string serial;
  std::string kind;
  std::string reason = "unspecified";
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::optional<int> days;
};

/// The program's outside world.
struct Tools {
  SystemClock clock;
  SystemRandom random;
};

Status run_init(const Arguments& in, Tools& tools) {
  POSTERN_CHECK(Authority::create(in.path,
                                  {.name = in.name.empty() ? "Postern" : in.name,
                                   .days = in.days.value_or(kCaDays),
                                   .key_type = *parse_key_type(in.key)},
                                  tools.clock, tools.random));
  POSTERN_TRY(const Authority authority, Authority::open(in.path, tools.clock, tools.random));
  for (const Profile& profile : kProfiles) {
    fmt::print("{}\n{}\n", authority.ca_path(profile), authority.crl_path(profile));
  }
  return {};
}

Status run_issue(const Profile& profile, const Arguments& in, Tools& tools) {
  IssueOrder order{.leaf = {.name = in.name,
                            .dns_names = in.dns_names,
                            .ip_addresses = in.ip_addresses,
                            .days = in.days,
                            .site = in.site},
                   .key_type = *parse_key_type(in.key),
                   .prefix = in.prefix};
  if (!in.request.empty()) order.request_path = in.request;
  POSTERN_TRY(Authority authority, Authority::open(in.authority, tools.clock, tools.random));
  POSTERN_TRY(const IssuedFiles issued, issue_files(authority, profile, order));
  for (const std::string& path : issued.paths) fmt::print("{}\n", path);
  return {};
}

struct Victim {
  const Profile* profile;
  std::string serial;
};

Result<Victim> find_victim(const Arguments& in, const Authority& authority) {
  if (in.path.empty()) {
    POSTERN_TRY(std::string serial, normalize_serial(in.serial));
    if (!in.kind.empty()) return Victim{find_profile(in.kind), std::move(serial)};
    auto profile = authority.issuer_of(serial);
    if (!profile) return std::move(profile).error().within("revoke (--kind revokes it all the same)");
    return Victim{*profile, std::move(serial)};
  }
  POSTERN_TRY(const std::string pem, read_file(in.path));
  auto certificate = Certificate::from_pem(pem);
  if (!certificate) return std::move(certificate).error().within(in.path);
  auto profile = authority.issuer_of(*certificate);
  if (!profile) return std::move(profile).error().within(in.path);
  return Victim{*profile, certificate->serial()};
}

Status run_revoke(const Arguments& in, Tools& tools) {
  POSTERN_TRY(Authority authority, Authority::open(in.authority, tools.clock, tools.random));
  POSTERN_TRY(const Victim victim, find_victim(in, authority));
  POSTERN_TRY(const bool is_new,
              authority.revoke(*victim.profile, victim.serial, *parse_revocation_reason(in.reason)));
  // Also for one that was revoked before: its list may have been lost.
  POSTERN_CHECK(authority.write_crl(*victim.profile, in.days.value_or(kCrlDays)));
  fmt::print("{} certificate {} {}\n{}\n", victim.profile->name, victim.serial,
             is_new ? "is revoked" : "was revoked before", authority.crl_path(*victim.profile));
  return {};
}

Status run_crl(const Arguments& in, Tools& tools) {
  POSTERN_TRY(Authority authority, Authority::open(in.authority, tools.clock, tools.random));
  for (const Profile& profile : kProfiles) {
    POSTERN_CHECK(authority.write_crl(profile, in.days.value_or(kCrlDays)));
    fmt::print("{}\n", authority.crl_path(profile));
  }
  return {};
}

Status run_show(const Arguments& in, Tools& tools) {
  const std::string& path = in.path.empty() ? in.authority : in.path;
  const WallTime now = tools.clock.wall();
  std::error_code ignored;  // what is neither is read as a file, and that says what is wrong
  if (!std::filesystem::is_directory(path, ignored)) {
    POSTERN_TRY(const std::string text, describe_file(path, now));
    fmt::print("{}", text);
    return {};
  }
  POSTERN_TRY(const Authority authority, Authority::open(path, tools.clock, tools.random));
  POSTERN_TRY(const std::string text, describe_authority(authority, now));
  fmt::print("{}", text);
  return {};
}

/// The command line, and what it leads to.
class CommandLine {
 public:
  CommandLine() {
    app_.require_subcommand(1);
    app_.footer(std::string(kExamples));
    add_init();
    add_issue();
    add_revoke();
    add_crl();
    add_show();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? 0 : kMisused;
    }
    Tools tools;
    for (const Command& command : commands_) {
      if (!command.app->parsed()) continue;
      const Status done = command.act(in_, tools);
      if (done) return 0;
      fmt::print(stderr, "postern-pki: {}\n", done.error().what);
      return kFailed;
    }
    return kMisused;
  }

 private:
  struct Command {
    CLI::App* app;
    std::function<Status(const Arguments&, Tools&)> act;
  };

  void add_authority(CLI::App* to) {
    to->add_option("--ca", in_.authority, "Directory of the certificate authority")
        ->envname("POSTERN_PKI")
        ->type_name("DIR")
        ->capture_default_str();
  }
  void add_days(CLI::App* to, const std::string& help, int otherwise) {
    to->add_option("--days", in_.days, fmt::format("{} [{}]", help, otherwise))
        ->check(CLI::Range(1, kDaysMax));
  }
  CLI::Option* add_key(CLI::App* to) {
    return to->add_option("--key", in_.key, "Type of the key; ecdsa is P-256, rsa has 3072 bits")
        ->check(CLI::IsMember({"ecdsa", "ed25519", "rsa"}))
        ->capture_default_str();
  }

  void add_init() {
    CLI::App* command = app_.add_subcommand("init", "Make a certificate authority");
    command->add_option("DIR", in_.path, "The directory to make; it must not exist, or be empty")->required();
    command->add_option("--name", in_.name, "Whose authority it is: part of the roots' names [Postern]");
    add_days(command, "How long the roots live", kCaDays);
    add_key(command);
    command->footer(
        "Keep DIR/private where nobody else gets at it, and a copy of DIR in a safe.\n"
        "Programs are given DIR/<kind>-ca.crt as trust and DIR/<kind>-ca.crl as revocation list.");
    commands_.push_back({command, run_init});
  }

  void add_issue() {
    CLI::App* issue = app_.add_subcommand("issue", "Issue a certificate");
    issue->require_subcommand(1);
    for (const Profile& profile : kProfiles) {
      CLI::App* command = issue->add_subcommand(
          std::string(profile.name), fmt::format("Issue a certificate for {}", to_string(profile.usage)));
      add_authority(command);
      command->add_option("--name", in_.name, "Common name, 1 to 64 characters")->required();
      if (profile.has_addresses) {
        auto* dns =
            command->add_option("--dns", in_.dns_names, "DNS name by which it is reached; repeatable");
        auto* ip =
            command->add_option("--ip", in_.ip_addresses, "IP address by which it is reached; repeatable");
        dns->type_size(1)->expected(1)->take_all();
        ip->type_size(1)->expected(1)->take_all();
      }
      if (profile.has_site) {
        command->add_option("--site", in_.site, "Site that it serves, 1 to 64 characters [its name]");
      }
      add_days(command, "How long it lives, at most as long as its root", profile.days);
      CLI::Option* key = add_key(command);
      command->add_option("--csr", in_.request, "Certify the key of this signing request (PEM) and make none")
          ->type_name("FILE")
          ->excludes(key);
      command->add_option("--out", in_.prefix, "Writes PREFIX.crt and PREFIX.key; never overwrites")
          ->type_name("PREFIX")
          ->required();
      commands_.push_back(
          {command, [&profile](const Arguments& in, Tools& tools) { return run_issue(profile, in, tools); }});
    }
    issue->get_subcommand("gateway")->footer(
        "This is the certificate that a gateway shows to its cloud. For the listener that its devices\n"
        "connect to it needs another one, of kind server. Gateways that stand in for one another have names\n"
        "of their own and one --site.");
    issue->get_subcommand("plan-signing")
        ->footer(
            "Writes PREFIX.pub as well. Each has a number in its subject, counted from 1; to roll over, "
            "issue the\n"
            "next one, let it sign, and revoke the last one when nothing signed by it is valid any more.");
  }

  void add_revoke() {
    CLI::App* command =
        app_.add_subcommand("revoke", "Revoke a certificate and write the new revocation list");
    add_authority(command);
    CLI::Option_group* which = command->add_option_group("Which");
    which->add_option("CERT", in_.path, "The certificate's file (PEM)");
    CLI::Option* serial =
        which->add_option("--serial", in_.serial, "The certificate's serial number in hexadecimal")
            ->type_name("HEX");
    which->require_option(1);
    command->add_option("--kind", in_.kind, "With --serial: revoke it although its issue is not on record")
        ->check(CLI::IsMember(kinds()))
        ->needs(serial);
    command->add_option("--reason", in_.reason, "Why")
        ->check(CLI::IsMember({"unspecified", "key-compromise", "superseded", "retired"}))
        ->capture_default_str();
    add_days(command, "How long the revocation list lives", kCrlDays);
    command->footer(
        "Bring the written list to the cloud and the gateways: it counts from when they have it.");
    commands_.push_back({command, run_revoke});
  }

  void add_crl() {
    CLI::App* command = app_.add_subcommand("crl", "Write all revocation lists anew");
    add_authority(command);
    add_days(command, "How long they live", kCrlDays);
    command->footer("A list stays in force past its end, but whoever uses it raises an alarm.");
    commands_.push_back({command, run_crl});
  }

  void add_show() {
    CLI::App* command = app_.add_subcommand("show", "Show certificates and revocation lists");
    add_authority(command);
    command->add_option("PATH", in_.path,
                        "A file in PEM form, or the directory of an authority [that of --ca]");
    commands_.push_back({command, run_show});
  }

  static std::vector<std::string> kinds() {
    std::vector<std::string> names;
    for (const Profile& profile : kProfiles) names.emplace_back(profile.name);
    return names;
  }

  Arguments in_;
  CLI::App app_{std::string(kAbout), "postern-pki"};
  std::vector<Command> commands_;
};

}  // namespace
}  // namespace postern

int main(int argc, char** argv) {
  return postern::CommandLine().run(argc, argv);
}
