#include "cloud/api/management/useradm.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

constexpr std::size_t kBodyBytesMax = 64 << 10;

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
Result<bool> wants_no_expiry(std::string_view body) {
  if (body.empty()) return false;
  POSTERN_TRY(const auto value, http::parse_json(body));
  const auto* object = value.if_object();
  if (object == nullptr) return invalid("failed to decode request body: not a JSON object");
  const auto* flag = object->if_contains("no_expiry");
  return flag != nullptr && flag->is_bool() && flag->get_bool();
}

}  // namespace

void Useradm::add_routes(http::Router& router, Gate& gate) {
  router.add("POST", "/api/management/v1/useradm/auth/login",
             gate.for_everyone([this](http::Request& request) { return log_in(request); }));
  router.add("POST", "/api/management/v1/useradm/auth/logout",
             gate.for_users([this](http::Request&, const Session& session) { return log_out(session); }));
}

net::awaitable<Result<http::Response>> Useradm::log_in(http::Request& request) {
  POSTERN_CO_TRY(const std::string body, co_await http::read_all(*request.body, kBodyBytesMax));
  POSTERN_CO_TRY(const bool never_expires, wants_no_expiry(body));
  POSTERN_CO_TRY(Credentials credentials, basic_credentials(request));
  POSTERN_CO_TRY(
      std::string token,
      co_await accounts_.log_in(std::move(credentials.name), std::move(credentials.password), never_expires));
  co_return http::Response::text(200, "application/jwt", std::move(token));
}

net::awaitable<Result<http::Response>> Useradm::log_out(const Session& session) {
  POSTERN_CO_CHECK(co_await accounts_.log_out(session));
  co_return http::Response::empty(202);
}

}  // namespace postern::cloud::management
