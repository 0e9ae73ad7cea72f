// Users, their tokens, and the audit log.
#include <boost/json.hpp>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/json_text.hpp"
#include "shared/base/text.hpp"
#include "shared/cli/table.hpp"
#include "shared/http/url.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kUsers = "v1/useradm/users";
constexpr std::string_view kTokens = "v1/useradm/settings/tokens";
constexpr std::string_view kMe = "me";
constexpr std::size_t kEntriesPerPage = 500;

std::string path_of(std::string_view collection, std::string_view id) {
  return fmt::format("{}/{}", collection, http::percent_encode(id));
}

net::awaitable<Result<json::array>> all(Context& context, std::string path) {
  POSTERN_CO_TRY(json::value list, co_await context.api.get(std::move(path)));
  json::array* array = list.if_array();
  if (array == nullptr) co_return corrupt("the server's answer is no list");
  co_return std::move(*array);
}

/// The id behind an id or an e-mail.
Text user_id(Context& context, std::string user) {
  if (is_uuid(user)) co_return user;
  POSTERN_CO_TRY(const json::array found,
                 co_await all(context, fmt::format("{}?email={}", kUsers, http::percent_encode(user))));
  for (const json::value& each : found) {
    if (text_member(each, "email") == to_lower(user)) co_return text_member(each, "id");
  }
  co_return not_found(fmt::format("there is no user {}", printable(user)));
}

std::string done(const Context& context, std::string_view word, const std::string& id) {
  if (context.output == Output::json) return json_text({{"id", id}});
  return fmt::format("{} {}\n", word, printable(id));
}

std::string object_text(const json::value& entry) {
  const json::value& object = member(entry, "object");
  const std::string type = text_member(object, "type");
  std::string name = text_member(object, "name");
  if (name.empty()) name = text_member(member(object, type), type == "user" ? "email" : "name");
  return fmt::format("{} {}", type, name.empty() ? text_member(object, "id") : name);
}

std::string actor_text(const json::value& entry) {
  const json::value& actor = member(entry, "actor");
  const std::string email = text_member(actor, "email");
  return email.empty() ? text_member(actor, "id") : email;
}

std::string audit_query(const Context& context, const AuditOptions& options) {
  http::QueryParameters query;
  if (options.since > Duration(0)) {
    const WallTime start =
        context.clock.wall() - std::chrono::duration_cast<std::chrono::milliseconds>(options.since);
    query.emplace_back("created_after", std::to_string(unix_seconds(start)));
  }
  if (!options.actor.empty()) {
    query.emplace_back(is_uuid(options.actor) ? "actor_id" : "actor_email", options.actor);
  }
  if (!options.object.empty()) {
    query.emplace_back(is_uuid(options.object) ? "object_id" : "object_type", options.object);
  }
  return http::build_query(query);
}

net::awaitable<Result<json::array>> audit_entries(Context& context, AuditOptions options) {
  json::array entries;
  const std::size_t per_page = std::min(options.count, kEntriesPerPage);
  const std::string query = audit_query(context, options);
  for (std::size_t page = 1; entries.size() < options.count; ++page) {
    POSTERN_CO_TRY(json::array some,
                   co_await all(context, fmt::format("v1/auditlogs/logs?{}{}page={}&per_page={}", query,
                                                     query.empty() ? "" : "&", page, per_page)));
    const bool is_last = some.size() < per_page;
    for (json::value& each : some) {
      if (entries.size() < options.count) entries.push_back(std::move(each));
    }
    if (is_last) break;
  }
  co_return entries;
}

}  // namespace

Text list_users(Context& context) {
  POSTERN_CO_TRY(const json::array users, co_await all(context, std::string(kUsers)));
  if (context.output == Output::json) co_return json_text(users);
  Table table({"ID", "EMAIL", "CREATED", "LAST LOGIN"});
  for (const json::value& each : users) {
    table.add({text_member(each, "id"), text_member(each, "email"), text_member(each, "created_ts"),
               text_member(each, "login_ts")});
  }
  co_return table.text();
}

Text add_user(Context& context, std::string email, std::string password) {
  const json::value body{{"email", email}, {"password", password}};
  POSTERN_CO_TRY(const std::string id,
                 about("user " + printable(email), co_await context.api.create(std::string(kUsers), body)));
  co_return context.output == Output::json ? json_text({{"id", id}}) : id + "\n";
}

Text rename_user(Context& context, std::string user, std::string email, std::string current_password) {
  std::string id = user;
  json::object body{{"email", email}};
  if (user == kMe) {
    body["current_password"] = current_password;
  } else {
    POSTERN_CO_TRY(id, co_await user_id(context, user));
  }
  POSTERN_CO_CHECK(about("user " + printable(user), co_await context.api.put(path_of(kUsers, id), body)));
  co_return done(context, "changed", user);
}

Text delete_user(Context& context, std::string user) {
  POSTERN_CO_TRY(const std::string id, co_await user_id(context, user));
  POSTERN_CO_CHECK(about("user " + printable(user), co_await context.api.erase(path_of(kUsers, id))));
  co_return done(context, "deleted", user);
}

Text change_password(Context& context, std::string current, std::string wanted) {
  const json::value body{{"password", wanted}, {"current_password", current}};
  POSTERN_CO_CHECK(co_await context.api.put(path_of(kUsers, kMe), body));
  co_return context.output == Output::json
      ? json_text(json::object{})
      : std::string("password changed; all other sessions and tokens have ended\n");
}

Text list_tokens(Context& context) {
  POSTERN_CO_TRY(const json::array tokens, co_await all(context, std::string(kTokens)));
  if (context.output == Output::json) co_return json_text(tokens);
  Table table({"ID", "NAME", "CREATED", "EXPIRES", "LAST USED"});
  for (const json::value& each : tokens) {
    table.add({text_member(each, "id"), text_member(each, "name"), text_member(each, "created_ts"),
               text_member(each, "expiration_date"), text_member(each, "last_used")});
  }
  co_return table.text();
}

Text create_token(Context& context, std::string name, std::chrono::seconds lifetime) {
  const json::value body{{"name", name}, {"expires_in", lifetime.count()}};
  POSTERN_CO_TRY(const std::string token,
                 about("token " + printable(name), co_await context.api.post(std::string(kTokens), body)));
  co_return context.output == Output::json ? json_text({{"token", token}}) : printable(token) + "\n";
}

Text delete_token(Context& context, std::string token) {
  POSTERN_CO_TRY(const json::array tokens, co_await all(context, std::string(kTokens)));
  for (const json::value& each : tokens) {
    const std::string id = text_member(each, "id");
    if (id != token && text_member(each, "name") != token) continue;
    POSTERN_CO_CHECK(about("token " + printable(token), co_await context.api.erase(path_of(kTokens, id))));
    co_return done(context, "deleted", token);
  }
  co_return not_found(fmt::format("you have no token {}", printable(token)));
}

Text list_audit(Context& context, AuditOptions options) {
  POSTERN_CO_TRY(const json::array entries, co_await audit_entries(context, std::move(options)));
  if (context.output == Output::json) co_return json_text(entries);
  Table table({"TIME", "ACTOR", "ACTION", "OBJECT", "CHANGE"});
  for (const json::value& each : entries) {
    table.add({text_member(each, "time"), actor_text(each), text_member(each, "action"), object_text(each),
               text_member(each, "change")});
  }
  co_return table.text();
}

}  // namespace postern::cli
