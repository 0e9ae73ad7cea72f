#include "gateway/upstream/management.hpp"

#include "shared/base/bytes.hpp"

namespace postern::gateway {

http::Request post_json(std::string target, std::string body) {
  http::Request request;
  request.method = "POST";
  request.target = std::move(target);
  request.headers.set("Content-Type", "application/json");
  request.body = std::make_unique<http::TextBody>(std::move(body));
  return request;
}

Error unexpected_answer(std::string_view call, int status, std::string_view body) {
  return transient(
      fmt::format("upstream answered {} to {}: {}", status, call, body.substr(0, std::size_t{200})));
}

std::string ManagementSession::token() {
  const std::lock_guard lock(mutex_);
  return token_;
}

void ManagementSession::set_token(std::string token) {
  const std::lock_guard lock(mutex_);
  token_ = std::move(token);
}

net::awaitable<Result<std::string>> ManagementSession::log_in() {
  auto request = post_json("/api/management/v1/useradm/auth/login", "");
  request.headers.set("Authorization",
                      "Basic " + to_base64(as_bytes(fmt::format("{}:{}", user_, password_))));
  POSTERN_CO_TRY(auto response, co_await upstream_.send(std::move(request)));
  POSTERN_CO_TRY(std::string body, co_await http::read_all(*response.body, kAnswerBytesMax));
  if (response.status == 401) {
    co_return unauthorized(
        fmt::format("the upstream refuses the user \"{}\": check MenderUsername and MenderPassword", user_));
  }
  // A body of 200 is a token, which no error may hold.
  if (response.status != 200) co_return unexpected_answer("the log-in", response.status, body);
  log_.info("upstream.logged_in", {{"user", user_}});
  set_token(body);
  co_return body;
}

net::awaitable<Result<ManagementSession::Answer>> ManagementSession::send(
    std::function<http::Request()> make) {
  std::string bearer = token();
  bool is_fresh = false;
  for (;;) {
    if (bearer.empty()) {
      POSTERN_CO_TRY(bearer, co_await log_in());
      is_fresh = true;
    }
    http::Request request = make();
    request.headers.set("Authorization", "Bearer " + bearer);
    POSTERN_CO_TRY(auto response, co_await upstream_.send(std::move(request)));
    POSTERN_CO_TRY(std::string body, co_await http::read_all(*response.body, kAnswerBytesMax));
    if (response.status != 401 || is_fresh) {
      co_return Answer{.status = response.status, .body = std::move(body)};
    }
    bearer.clear();
  }
}

}  // namespace postern::gateway
