#include "cloud/api/management/gate.hpp"

#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

constexpr std::string_view kCookieName = "JWT";

std::optional<std::string> cookie(const http::Request& request, std::string_view wanted) {
  for (std::string_view rest : request.headers.find_all("Cookie")) {
    while (!rest.empty()) {
      std::string_view pair = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
      pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
      const auto equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == wanted) {
        return std::string(pair.substr(equals + 1));
      }
    }
  }
  return std::nullopt;
}

/// The token of the field or, without one, of the cookie.
Result<std::string> token_of(const http::Request& request) {
  const auto field = request.headers.find("Authorization");
  if (!field) {
    if (auto token = cookie(request, kCookieName)) return *std::move(token);
    return unauthorized("Authorization not present in header");
  }
  const auto blank = field->find(' ');
  if (blank == std::string_view::npos || field->find(' ', blank + 1) != std::string_view::npos)
    return unauthorized("malformed Authorization header");
  if (!http::equal_ignoring_case(field->substr(0, blank), "Bearer")) {
    return unauthorized(fmt::format("unknown Authorization method {}", field->substr(0, blank)));
  }
  return std::string(field->substr(blank + 1));
}

}  // namespace

http::Handler Gate::for_users(UserHandler handler) {
  return [this, handler = std::move(handler)](http::Request& request) -> net::awaitable<http::Response> {
    auto token = token_of(request);
    auto session = token ? co_await accounts_.identify(*std::move(token)) : Result<Session>(token.error());
    if (!session) co_return failure(session.error(), request);
    auto answer = co_await handler(request, *session);
    if (!answer) co_return failure(answer.error(), request);
    co_return *std::move(answer);
  };
}

http::Handler Gate::for_everyone(OpenHandler handler) {
  return [this, handler = std::move(handler)](http::Request& request) -> net::awaitable<http::Response> {
    auto answer = co_await handler(request);
    if (!answer) co_return failure(answer.error(), request);
    co_return *std::move(answer);
  };
}

http::Response Gate::failure(const Error& error, const http::Request& request) {
  if (error.kind != Kind::rejected && error.kind != Kind::cancelled) {
    log_.error("management_api.request_failed", {{"request", request.id},
                                                 {"method", request.method},
                                                 {"path", request.path},
                                                 {"kind", to_string(error.kind)},
                                                 {"error", error.what}});
  }
  http::Response answer = http::error_answer(error, request);
  if (answer.status == 401) answer.headers.set("WWW-Authenticate", "Bearer realm=\"ManagementJWT\"");
  return answer;
}

}  // namespace postern::cloud::management
