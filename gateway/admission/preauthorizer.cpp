#include "gateway/admission/preauthorizer.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

namespace json = boost::json;

constexpr std::size_t kAnswerBytesMax = 1 << 20;

json::object describe(const AuthRequest& device) {
  return {{"identity_data", device.identity.attributes}, {"pubkey", device.public_key_pem}};
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

net::awaitable<Result<ManagementSession::Answer>> ManagementPreauthorizer::post(std::string body) {
  return session_.send(
      [body = std::move(body)] { return post_json("/api/management/v2/devauth/devices", body); });
}

net::awaitable<Result<Preauthorization>> ManagementPreauthorizer::preauthorize(const AuthRequest& device,
                                                                               bool is_ours) {
  json::object description = describe(device);
  POSTERN_CO_TRY(auto answer, co_await post(json::serialize(description)));
  if (answer.status == 409 && (is_ours || may_force(answer.body))) {
    description["force"] = true;
    POSTERN_CO_TRY(answer, co_await post(json::serialize(description)));
  }
  if (answer.status == 201) co_return Preauthorization::granted;
  if (answer.status == 409) co_return Preauthorization::conflict;
  co_return unexpected_answer("a preauthorization", answer.status, answer.body);
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
      co_return unexpected_answer("a preauthorization", response.status, body);
  }
}

}  // namespace postern::gateway
