#include "gateway/relay/relay.hpp"

#include <boost/json.hpp>

#include "gateway/relay/rules.hpp"
#include "shared/device_api/server.hpp"
#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

/// Bodies of devices are read up to this size (decision 2).
constexpr std::size_t kRequestBytesMax = 8 << 20;
constexpr std::size_t kAnswerBytesMax = 8 << 20;
/// What servers take of a log.
constexpr std::size_t kLogBytesMax = (1 << 20) - 1024;

constexpr std::string_view kAuthRoute = "/api/devices/v1/authentication/auth_requests";

std::unique_ptr<http::Body> text_body(std::string text) {
  return std::make_unique<http::TextBody>(std::move(text));
}

}  // namespace

void Relay::add(http::Router& router, std::string_view method, std::string_view pattern, Handler handler) {
  router.add(method, pattern,
             [this, handler,
              route = std::string(pattern)](http::Request& request) -> net::awaitable<http::Response> {
               http::Response response;
               if (auto allowed = gatekeeper_ == nullptr || route == kAuthRoute
                                      ? Status{}
                                      : gatekeeper_->check_token(request);
                   !allowed) {
                 response = failure(allowed.error(), request);
               } else if (auto body = co_await http::read_all(*request.body, kRequestBytesMax); !body) {
                 response = failure(body.error(), request);
               } else {
                 response = co_await (this->*handler)(request, *std::move(body));
               }
               const std::uint64_t size = response.body ? response.body->length().value_or(0) : 0;
               traffic_.site.charge(Traffic::state, size);
               metrics_.count_request(request.method, response.status, route, size);
               co_return response;
             });
}

void Relay::add_routes(http::Router& router) {
  const std::string deployments = "/deployments/device/deployments";
  const std::string v1 = "/api/devices/v1";
  const std::string v2 = "/api/devices/v2";
  add(router, "POST", kAuthRoute, &Relay::authenticate);
  add(router, "GET", v1 + deployments + "/next", &Relay::poll);
  add(router, "POST", v1 + deployments + "/next", &Relay::poll);
  add(router, "POST", v2 + deployments + "/next", &Relay::poll);
  add(router, "PUT", v1 + deployments + "/{id}/status", &Relay::pass);
  add(router, "PUT", v1 + deployments + "/{id}/log", &Relay::take_log);
  add(router, "GET", v2 + deployments + "/{id}/update_control_map", &Relay::pass);
  for (const std::string_view method : {"PUT", "PATCH"}) {
    add(router, method, v1 + "/inventory/device/attributes", &Relay::take_inventory);
  }
  add(router, "GET", v1 + "/deviceconfig/configuration", &Relay::pass);
  add(router, "PUT", v1 + "/deviceconfig/configuration", &Relay::pass);
}

http::Response Relay::failure(const Error& error, const http::Request& request) {
  if (error.reason == Reason::unauthorized) return http::Response::empty(401);
  if (error.kind == Kind::rejected && error.reason != Reason::too_large) {
    return http::error_answer(400, error.what, request);
  }
  log_.warn("relay.request_failed", {{"request", request.id},
                                     {"method", request.method},
                                     {"path", request.path},
                                     {"kind", to_string(error.kind)},
                                     {"error", error.what}});
  return http::error_answer(500, "the upstream server cannot be reached now", request);
}

net::awaitable<http::Response> Relay::forward(http::Request& request, std::string body, bool is_poll) {
  http::Request onward;
  onward.method = request.method;
  onward.target = request.target;
  onward.headers = headers_for_upstream(request);
  traffic_.uplink.charge(Traffic::state, request.target.size() + body.size());
  if (!body.empty() || request.method != "GET") onward.body = text_body(std::move(body));
  auto answer = co_await upstream_.send(std::move(onward));
  // What went wrong between us and the upstream is nothing that the device has done.
  if (!answer) co_return failure(transient(answer.error().what), request);
  auto content = co_await http::read_all(*answer->body, kAnswerBytesMax);
  if (!content) co_return failure(transient(content.error().what), request);
  traffic_.uplink.charge(Traffic::state, content->size());
  http::Response response;
  response.status = answer->status;
  response.headers = headers_for_device(*answer);
  response.body = text_body(*std::move(content));
  co_return make_digestible(std::move(response), request, is_poll);
}

net::awaitable<http::Response> Relay::pass(http::Request& request, std::string body) {
  return forward(request, std::move(body));
}

net::awaitable<http::Response> Relay::authenticate(http::Request& request, std::string body) {
  if (gatekeeper_ == nullptr) co_return co_await forward(request, std::move(body));
  auto admitted = co_await gatekeeper_->admit(request, body);
  if (!admitted) co_return failure(admitted.error(), request);
  auto response = co_await forward_auth(request, *admitted, body);
  if (response.status == 401 && co_await gatekeeper_->reconsider(*admitted)) {
    response = co_await forward_auth(request, *admitted, std::move(body));
  }
  co_return response;
}

net::awaitable<http::Response> Relay::forward_auth(http::Request& request,
                                                   const Gatekeeper::Admitted& admitted, std::string body) {
  auto response = co_await forward(request, std::move(body));
  if (response.status != 200) co_return response;
  const auto token = co_await http::read_all(*response.body, kAnswerBytesMax);
  if (!token) co_return failure(token.error(), request);
  if (auto noted = co_await gatekeeper_->note_token(admitted, *token); !noted) {
    co_return failure(noted.error(), request);
  }
  response.body = text_body(*token);
  co_return response;
}

net::awaitable<http::Response> Relay::poll(http::Request& request, std::string body) {
  Poll poll{.method = request.method,
            .target = request.target,
            .headers = headers_for_upstream(request),
            .body = body};
  auto response = co_await forward(request, std::move(body), true);
  if (response.status != 200) co_return response;
  const auto text = co_await http::read_all(*response.body, kAnswerBytesMax);
  if (!text) co_return failure(text.error(), request);
  auto instruction = http::parse_json(*text);
  if (!instruction) co_return failure(transient(instruction.error().what), request);
  if (links_.is_enabled() && must_wait(request, *instruction)) co_return http::Response::empty(204);
  const auto taken = co_await links_.take_over(*instruction, std::move(poll));
  if (!taken) co_return failure(transient(taken.error().what), request);
  if (*taken == Handover::later) co_return http::Response::empty(204);
  response.body = text_body(boost::json::serialize(*instruction));
  co_return response;
}

bool Relay::must_wait(const http::Request& request, const boost::json::value& instruction) {
  const auto link = read_instruction(instruction);
  if (!link) return false;
  return !traffic_.may_tell(device_api::bearer_token(request).value_or(request.peer), link->deployment_id);
}

net::awaitable<http::Response> Relay::take_inventory(http::Request& request, std::string body) {
  if (!attributes_.empty()) {
    // A body that cannot be read goes on as it is: the upstream says best what is wrong with it.
    if (auto extended = add_attributes(body, attributes_)) body = *std::move(extended);
  }
  return forward(request, std::move(body));
}

net::awaitable<http::Response> Relay::take_log(http::Request& request, std::string body) {
  if (body.size() > kLogBytesMax) {
    auto cut = cut_log(body, kLogBytesMax);
    if (!cut) co_return failure(cut.error(), request);
    log_.info("relay.log_cut", {{"deployment", request.parameter("id")}, {"size_bytes", body.size()}});
    body = *std::move(cut);
  }
  co_return co_await forward(request, std::move(body));
}

}  // namespace postern::gateway
