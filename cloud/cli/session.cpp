#include "cloud/cli/session.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"
#include "shared/io/file.hpp"

namespace postern::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

std::string normalized(std::string server) {
  if (!server.empty() && !server.contains("://")) server.insert(0, "https://");
  while (server.ends_with('/')) server.pop_back();
  return server;
}

}  // namespace

Result<std::string> session_path(const Environment& environment) {
  // What is empty or relative counts as not set, as the XDG base directory specification has it.
  const auto directory = [&](std::string_view variable) {
    const std::string path = environment(variable).value_or("");
    return path.starts_with('/') ? path : std::string();
  };
  if (const auto config = directory("XDG_CONFIG_HOME"); !config.empty()) {
    return config + "/postern/session.json";
  }
  if (const auto home = directory("HOME"); !home.empty()) return home + "/.config/postern/session.json";
  return invalid("neither XDG_CONFIG_HOME nor HOME is set: there is no place for the session file");
}

Result<Session> load_session(const std::string& path) {
  const auto text = read_file(path, kFileBytesMax);
  if (!text && text.error().reason == Reason::not_found) return Session{};
  if (!text) return text.error();
  auto value = http::parse_json(*text);
  if (!value || !value->is_object()) {
    return invalid(fmt::format("{} is no session file: remove it, and log in again", path));
  }
  const json::object& object = value->get_object();
  Session session;
  POSTERN_TRY(session.server, http::string_member(object, "server"));
  POSTERN_TRY(session.ca, http::string_member(object, "ca"));
  POSTERN_TRY(session.token, http::string_member(object, "token"));
  return session;
}

Status save_session(const std::string& path, const Session& session) {
  const std::string directory = path.substr(0, path.rfind('/'));
  POSTERN_CHECK(open_directory(directory));  // makes it
  const json::object object{{"server", session.server}, {"ca", session.ca}, {"token", session.token}};
  return write_file(path, json::serialize(object) + "\n", 0600, Existing::replace);
}

Session effective_session(Session stored, const Environment& environment, const Session& flags) {
  const auto choose = [&](std::string_view variable, const std::string& flag) {
    return flag.empty() ? environment(variable).value_or("") : flag;
  };
  const std::string server = normalized(choose("POSTERN_SERVER", flags.server));
  if (!server.empty() && server != stored.server) stored = Session{.server = server, .ca = {}, .token = {}};
  if (std::string ca = choose("POSTERN_CA", flags.ca); !ca.empty()) stored.ca = std::move(ca);
  if (std::string token = choose("POSTERN_TOKEN", flags.token); !token.empty())
    stored.token = std::move(token);
  return stored;
}

}  // namespace postern::cli
