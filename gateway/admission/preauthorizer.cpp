#include "gateway/admission/preauthorizer.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

namespace json = boost::json;

constexpr std::size_t kAnswerBytesMax = 1 << 20;

http::Request post_json(std::string target, std::string body) {
  http::Request request;
  request.method = "POST";
  request.may_repeat = true;  // whoever preauthorizes or logs in twice has done it once
  request.target = std::move(target);
  request.headers.set("Content-Type", "application/json");
  request.body = std::make_unique<http::TextBody>(std::move(body));
  return request;
}

json::object describe(const AuthRequest& device) {
  return {{"identity_data", device.identity.attributes}, {"pubkey", device.public_key_pem}};
}

Error unexpected(std::string_view call, int status, std::string_view answer) {
  return transient(
      fmt::format("upstream answered {} to {}: {}", status, call, answer.substr(0, std::size_t{200})));
}

/// Whether a key of a known identity may be added by force: nobody has accepted or rejected the identity
/// elsewhere.
bool may_force(std::string_view conflict_body) {
  const auto parsed = http::parse_json(conflict_body);
  if (!parsed || !parsed->is_object()) return false;
  const auto status = http::string_member(parsed->as_object(), "status");
  return status && (*status == "pending" || *status == "preauthorized" || *status == "noauth");
}

}  // namespace

std::string ManagementPreauthorizer::token() {
  const std::lock_guard lock(mutex_);
  return token_;
}

void ManagementPreauthorizer::set_token(std::string token) {
  const std::lock_guard lock(mutex_);
  token_ = std::move(token);
}

net::awaitable<Result<std::string>> ManagementPreauthorizer::log_in() {
  auto request = post_json("/api/management/v1/useradm/auth/login", "");
  request.headers.set("Authorization",
                      "Basic " + to_base64(as_bytes(fmt::format("{}:{}", user_, password_))));
  POSTERN_CO_TRY(auto response, co_await upstream_.send(std::move(request)));
  POSTERN_CO_TRY(std::string body, co_await http::read_all(*response.body, kAnswerBytesMax));
  if (response.status == 401) {
    co_return unauthorized(
        fmt::format("the upstream refuses the user \"{}\": check MenderUsername and MenderPassword", user_));
  }
  if (response.status != 200) co_return unexpected("the log-in", response.status, body);
  log_.info("upstream.logged_in", {{"user", user_}});
  set_token(body);
  co_return body;
}

net::awaitable<Result<http::Response>> ManagementPreauthorizer::post(std::string body) {
  std::string bearer = token();
  bool is_fresh = false;
  for (;;) {
    if (bearer.empty()) {
      POSTERN_CO_TRY(bearer, co_await log_in());
      is_fresh = true;
    }
    auto request = post_json("/api/management/v2/devauth/devices", body);
    request.headers.set("Authorization", "Bearer " + bearer);
    POSTERN_CO_TRY(auto response, co_await upstream_.send(std::move(request)));
    if (response.status != 401 || is_fresh) co_return response;
    POSTERN_CO_CHECK(co_await http::read_all(*response.body, kAnswerBytesMax));
    bearer.clear();
  }
}

net::awaitable<Result<Preauthorization>> ManagementPreauthorizer::preauthorize(const AuthRequest& device,
                                                                               bool is_ours) {
  json::object description = describe(device);
  POSTERN_CO_TRY(auto response, co_await post(json::serialize(description)));
  POSTERN_CO_TRY(std::string body, co_await http::read_all(*response.body, kAnswerBytesMax));
  if (response.status == 409 && (is_ours || may_force(body))) {
    description["force"] = true;
    POSTERN_CO_TRY(response, co_await post(json::serialize(description)));
    POSTERN_CO_TRY(body, co_await http::read_all(*response.body, kAnswerBytesMax));
  }
  if (response.status == 201) co_return Preauthorization::granted;
  if (response.status == 409) co_return Preauthorization::conflict;
  co_return unexpected("a preauthorization", response.status, body);
}

net::awaitable<Result<Preauthorization>> CertificatePreauthorizer::preauthorize(const AuthRequest& device,
                                                                                bool /*is_ours*/) {
  auto request = post_json("/api/gateways/v1/preauthorizations", json::serialize(describe(device)));
  request.headers.set("User-Agent", user_agent_);
  POSTERN_CO_TRY(auto response, co_await upstream_.send(std::move(request)));
  POSTERN_CO_TRY(const std::string body, co_await http::read_all(*response.body, kAnswerBytesMax));
  switch (response.status) {
    case 201:
    case 204:
      co_return Preauthorization::granted;
    case 409:
      co_return Preauthorization::conflict;
    case 401:
      co_return unauthorized("the upstream does not accept this gateway's certificate");
    default:
      co_return unexpected("a preauthorization", response.status, body);
  }
}

}  // namespace postern::gateway
