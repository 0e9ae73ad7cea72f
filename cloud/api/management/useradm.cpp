#include "cloud/api/management/useradm.hpp"

#include <algorithm>
#include <set>

#include <boost/json.hpp>

#include "cloud/api/management/paging.hpp"
#include "shared/base/text.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::string_view kRoot = "/api/management/v1/useradm";
constexpr std::size_t kBodyBytesMax = 1 << 20;

net::awaitable<Result<json::object>> read_object(http::Request& request) {
  POSTERN_CO_TRY(json::value body, co_await http::read_json(request, kBodyBytesMax));
  json::object* object = body.if_object();
  if (object == nullptr) co_return invalid("failed to decode request body: not a JSON object");
  co_return std::move(*object);
}

struct Credentials {
  std::string name;
  std::string password;
};

Result<Credentials> basic_credentials(const http::Request& request) {
  const auto refused = [] { return unauthorized("invalid or missing auth header"); };
  const auto field = request.headers.find("Authorization");
  if (!field) return refused();
  const auto blank = field->find(' ');
  if (blank == std::string_view::npos || !http::equal_ignoring_case(field->substr(0, blank), "Basic"))
    return refused();
  const auto decoded = from_base64(field->substr(blank + 1));
  if (!decoded) return refused();
  const std::string_view text = as_text(*decoded);
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return refused();
  return Credentials{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

/// The optional body; members that we do not know are ignored.
net::awaitable<Result<bool>> wants_no_expiry(http::Request& request) {
  POSTERN_CO_TRY(std::string text, co_await http::read_body(request, kBodyBytesMax));
  if (text.empty()) co_return false;
  request.body = std::make_unique<http::TextBody>(std::move(text));
  POSTERN_CO_TRY(const json::object body, co_await read_object(request));
  const json::value* flag = body.if_contains("no_expiry");
  co_return flag != nullptr && flag->is_bool() && flag->get_bool();
}

/// A member that may be missing. Errors: invalid (no string).
Result<std::optional<std::string>> optional_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_string())
    return invalid(fmt::format("failed to decode request body: {} is not a string", name));
  return std::string(value->get_string());
}

Result<UserChange> decode_change(const json::object& body) {
  UserChange change;
  POSTERN_TRY(change.email, optional_member(body, "email"));
  POSTERN_TRY(change.password, optional_member(body, "password"));
  POSTERN_TRY(change.current_password, optional_member(body, "current_password"));
  // An empty text is how clients leave a member out.
  if (change.password && change.password->empty()) change.password.reset();
  return change;
}

Result<std::chrono::seconds> decode_lifetime(const json::object& body) {
  const json::value* value = body.if_contains("expires_in");
  if (value == nullptr || value->is_null()) return std::chrono::seconds(0);
  json::error_code error;
  const auto seconds = value->to_number<std::int64_t>(error);
  if (error) return invalid("failed to decode request body: expires_in is no whole number");
  return std::chrono::seconds(seconds);
}

json::object to_json(const User& user) {
  json::object object{{"id", user.id},
                      {"email", user.email},
                      {"created_ts", to_rfc3339(user.created)},
                      {"updated_ts", to_rfc3339(user.updated)}};
  if (user.last_login) object["login_ts"] = to_rfc3339(*user.last_login);
  return object;
}

json::object to_json(const UserToken& token) {
  json::object object{{"id", token.id}, {"name", token.name}, {"created_ts", to_rfc3339(token.created)}};
  if (token.last_used) object["last_used"] = to_rfc3339(*token.last_used);
  if (token.expires) object["expiration_date"] = to_rfc3339(*token.expires);
  return object;
}

/// The answer to one who has to wait; in whole seconds, rounded up.
http::Response too_many_guesses(const http::Request& request, Duration wait) {
  http::Response answer = http::error_answer(429, "too many wrong passwords, try again later", request);
  answer.headers.set("Retry-After", std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()));
  return answer;
}

struct UserFilter {
  std::set<std::string> ids;
  std::set<std::string> emails;
  std::optional<std::int64_t> created_after, created_before, updated_after, updated_before;

  bool matches(const User& user) const {
    const auto is_in = [](const auto& after, const auto& before, WallTime time) {
      return (!after || unix_seconds(time) >= *after) && (!before || unix_seconds(time) <= *before);
    };
    return (ids.empty() || ids.contains(user.id)) && (emails.empty() || emails.contains(user.email)) &&
           is_in(created_after, created_before, user.created) &&
           is_in(updated_after, updated_before, user.updated);
  }
};

Result<UserFilter> parse_user_filter(const http::QueryParameters& query) {
  UserFilter filter;
  for (const auto& [name, value] : query) {
    if (name == "id") filter.ids.insert(value);
    if (name == "email") filter.emails.insert(to_lower(value));
  }
  const auto refused = [](const Error& error) {
    return invalid(fmt::format("api: invalid form values: {}", error.what));
  };
  for (const auto& [name, target] : {std::pair("created_after", &filter.created_after),
                                     std::pair("created_before", &filter.created_before),
                                     std::pair("updated_after", &filter.updated_after),
                                     std::pair("updated_before", &filter.updated_before)}) {
    const auto seconds = parse_seconds(query, name);
    if (!seconds) return refused(seconds.error());
    *target = *seconds;
  }
  return filter;
}

/// Every feature is there for everybody (management-api 1.6): there are no plans to choose from.
json::object plan() {
  return {{"name", "enterprise"},
          {"display_name", "Enterprise"},
          {"features",
           {{"rbac", false},
            {"audit_logs", true},
            {"dynamic_groups", true},
            {"terminal", true},
            {"file_transfer", true},
            {"configuration", true},
            {"monitoring", false},
            {"reporting", false}}}};
}

}  // namespace

void Useradm::add_routes(http::Router& router, Gate& gate) {
  const std::string root(kRoot);
  router.add("POST", root + "/auth/login",
             gate.for_everyone([this](http::Request& request) { return log_in(request); }));
  router.add("POST", root + "/auth/logout",
             gate.for_users([this](http::Request&, const Session& session) { return log_out(session); }));
  add_user_routes(router, gate);
  add_token_routes(router, gate);
  router.add("GET", root + "/plans", gate.for_users([](http::Request& request, const Session&) -> Answer {
    POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
    POSTERN_CO_CHECK(parse_page(query));
    co_return http::json_answer(200, json::array{});
  }));
  router.add("GET", root + "/plan_binding", gate.for_users([](http::Request&, const Session&) -> Answer {
    co_return http::json_answer(200, {{"plan", plan()}});
  }));
}

void Useradm::add_user_routes(http::Router& router, Gate& gate) {
  const std::string users = std::string(kRoot) + "/users";
  gate.add(router, "GET", users, *this, &Useradm::list);
  router.add("POST", users, gate.for_users([this](http::Request& request, const Session& session) {
    return create(request, session);
  }));
  router.add("GET", users + "/me", gate.for_users([this](http::Request&, const Session& session) {
    return show(session.user_id);
  }));
  router.add("GET", users + "/{id}", gate.for_users([this](http::Request& request, const Session&) {
    return show(request.parameter("id"));
  }));
  for (const std::string& me : {users + "/me", std::string("/api/management/v2/useradm/users/me")}) {
    router.add("PUT", me, gate.for_users([this](http::Request& request, const Session& session) {
      return change(request, session, session.user_id);
    }));
  }
  router.add("PUT", users + "/{id}", gate.for_users([this](http::Request& request, const Session& session) {
    return change(request, session, request.parameter("id"));
  }));
  router.add("DELETE", users + "/{id}",
             gate.for_users(
                 [this](http::Request& request, const Session& session) { return erase(request, session); }));
}

void Useradm::add_token_routes(http::Router& router, Gate& gate) {
  const std::string tokens = std::string(kRoot) + "/settings/tokens";
  router.add("GET", tokens,
             gate.for_users([this](http::Request&, const Session& session) { return list_tokens(session); }));
  router.add("POST", tokens, gate.for_users([this](http::Request& request, const Session& session) {
    return create_token(request, session);
  }));
  router.add("DELETE", tokens + "/{id}",
             gate.for_users([this](http::Request& request, const Session& session) {
               return erase_token(request, session);
             }));
}

Useradm::Answer Useradm::log_in(http::Request& request) {
  POSTERN_CO_TRY(Credentials credentials, basic_credentials(request));
  POSTERN_CO_TRY(const bool never_expires, co_await wants_no_expiry(request));
  POSTERN_CO_TRY(LogIn done, co_await accounts_.log_in({.name = std::move(credentials.name),
                                                        .password = std::move(credentials.password),
                                                        .never_expires = never_expires,
                                                        .peer = request.peer}));
  if (done.wait) co_return too_many_guesses(request, *done.wait);
  co_return http::Response::text(200, "application/jwt", std::move(done.token));
}

Useradm::Answer Useradm::log_out(const Session& session) {
  POSTERN_CO_CHECK(co_await accounts_.log_out(session));
  co_return http::Response::empty(202);
}

Useradm::Answer Useradm::list(http::Request& request) {
  POSTERN_CO_TRY(const auto query, http::parse_query(request.query));
  POSTERN_CO_TRY(const UserFilter filter, parse_user_filter(query));
  std::vector<User> users;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(users, tx.users().list());
    return {};
  }));
  std::erase_if(users, [&](const User& user) { return !filter.matches(user); });
  std::ranges::sort(users, {}, [](const User& user) { return std::pair(user.created, user.id); });
  json::array items;
  for (const User& user : users) items.push_back(to_json(user));
  co_return http::json_answer(200, items);
}

Useradm::Answer Useradm::create(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const json::object body, co_await read_object(request));
  POSTERN_CO_TRY(auto email, optional_member(body, "email"));
  POSTERN_CO_TRY(auto password, optional_member(body, "password"));
  POSTERN_CO_TRY(const std::string id,
                 co_await accounts_.create(session, email.value_or(""), password.value_or("")));
  http::Response answer = http::Response::empty(201);
  answer.headers.set("Location", fmt::format("{}/users/{}", kRoot, id));
  co_return answer;
}

Useradm::Answer Useradm::show(std::string user_id) {
  std::optional<User> user;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(user, tx.users().find(user_id));
    return {};
  }));
  if (!user) co_return not_found("user not found");
  co_return http::json_answer(200, to_json(*user));
}

Useradm::Answer Useradm::change(http::Request& request, const Session& session, std::string user_id) {
  POSTERN_CO_TRY(const json::object body, co_await read_object(request));
  POSTERN_CO_TRY(UserChange wanted, decode_change(body));
  POSTERN_CO_TRY(const auto wait,
                 co_await accounts_.change(session, request.peer, std::move(user_id), std::move(wanted)));
  if (wait) co_return too_many_guesses(request, *wait);
  co_return http::Response::empty(204);
}

Useradm::Answer Useradm::erase(http::Request& request, const Session& session) {
  POSTERN_CO_CHECK(co_await accounts_.erase(session, request.parameter("id")));
  co_return http::Response::empty(204);
}

Useradm::Answer Useradm::list_tokens(const Session& session) {
  POSTERN_CO_TRY(const auto tokens, co_await accounts_.personal_tokens(session));
  json::array items;
  for (const UserToken& token : tokens) items.push_back(to_json(token));
  co_return http::json_answer(200, items);
}

Useradm::Answer Useradm::create_token(http::Request& request, const Session& session) {
  POSTERN_CO_TRY(const json::object body, co_await read_object(request));
  POSTERN_CO_TRY(auto name, optional_member(body, "name"));
  POSTERN_CO_TRY(const auto lifetime, decode_lifetime(body));
  POSTERN_CO_TRY(std::string token, co_await accounts_.create_token(session, name.value_or(""), lifetime));
  co_return http::Response::text(200, "application/jwt", std::move(token));
}

Useradm::Answer Useradm::erase_token(http::Request& request, const Session& session) {
  POSTERN_CO_CHECK(co_await accounts_.erase_token(session, request.parameter("id")));
  co_return http::Response::empty(204);
}

}  // namespace postern::cloud::management
