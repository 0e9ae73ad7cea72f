#include "shared/device_api/server.hpp"

#include <boost/json/value.hpp>

#include "shared/device_api/codec.hpp"
#include "shared/http/answer.hpp"

namespace postern::device_api {
namespace {

constexpr std::size_t kBodyBytesMax = 8 << 20;
constexpr std::string_view kDeployments = "/api/devices/v1/deployments/device/deployments";

/// 401 without a body: a client of the 5 series dies of one with a body (decision 1).
http::Response unauthorized_answer() {
  return http::Response::empty(401);
}

}  // namespace

std::optional<std::string> bearer_token(const http::Request& request) {
  const auto field = request.headers.find("Authorization");
  if (!field) return std::nullopt;
  const auto blank = field->find(' ');
  if (blank == std::string_view::npos || !http::equal_ignoring_case(field->substr(0, blank), "Bearer")) {
    return std::nullopt;
  }
  return std::string(field->substr(blank + 1));
}

Arrival arrival_of(const http::Request& request) {
  return {.certificate = request.certificate,
          .user_agent = std::string(request.headers.find("User-Agent").value_or(""))};
}

void Server::add_routes(http::Router& router) {
  router.add("POST", "/api/devices/v1/authentication/auth_requests",
             [this](http::Request& request) { return authenticate(request); });
  const auto poll_with = [this](auto decode) {
    return authorized(
        [this, decode](http::Request& request, Caller caller) -> net::awaitable<http::Response> {
          auto body = co_await http::read_json(request, kBodyBytesMax);
          if (!body) co_return failure(body.error(), request);
          co_return co_await poll(request, std::move(caller), decode(*body));
        });
  };
  router.add("POST", "/api/devices/v2/deployments/device/deployments/next", poll_with(decode_poll_v2));
  router.add("POST", fmt::format("{}/next", kDeployments), poll_with(decode_poll_v1));
  router.add("GET", fmt::format("{}/next", kDeployments),
             authorized([this](http::Request& request, Caller caller) {
               return poll(request, std::move(caller), decode_poll_query(request.query));
             }));
  router.add("PUT", fmt::format("{}/{{id}}/status", kDeployments),
             authorized([this](http::Request& request, Caller caller) {
               return report_status(request, std::move(caller));
             }));
  router.add("PUT", fmt::format("{}/{{id}}/log", kDeployments),
             authorized([this](http::Request& request, Caller caller) {
               return store_log(request, std::move(caller));
             }));
  for (const auto& [method, mode] :
       {std::pair("PUT", InventoryMode::replace), {"PATCH", InventoryMode::merge}}) {
    router.add(method, "/api/devices/v1/inventory/device/attributes",
               authorized([this, mode](http::Request& request, Caller caller) {
                 return take_inventory(request, std::move(caller), mode);
               }));
  }
}

http::Handler Server::authorized(Authorized handler) {
  return [this, handler = std::move(handler)](http::Request& request) -> net::awaitable<http::Response> {
    auto token = bearer_token(request);
    if (!token) co_return unauthorized_answer();
    auto caller = co_await plane_.identify(*std::move(token), arrival_of(request));
    if (!caller) co_return failure(caller.error(), request);
    co_return co_await handler(request, *std::move(caller));
  };
}

http::Response Server::failure(const Error& error, const http::Request& request) {
  if (error.kind == Kind::rejected) {
    if (error.reason == Reason::unauthorized) return unauthorized_answer();
    const int status = http::status_of(error);
    // Statuses that no device client understands become 400 (decision 2).
    return http::error_answer(status == 404 || status == 409 ? status : 400, error.what, request);
  }
  log_.error("device_api.request_failed", {{"request", request.id},
                                           {"method", request.method},
                                           {"path", request.path},
                                           {"kind", to_string(error.kind)},
                                           {"error", error.what}});
  return http::error_answer(500, "internal error", request);
}

net::awaitable<http::Response> Server::authenticate(http::Request& request) {
  const auto body = co_await http::read_all(*request.body, kBodyBytesMax);
  if (!body) co_return failure(body.error(), request);
  auto decoded = decode_auth_request(*body, request.headers.find("X-MEN-Signature"));
  if (!decoded) co_return failure(decoded.error(), request);
  auto token = co_await plane_.authenticate(*std::move(decoded), arrival_of(request));
  if (!token) co_return failure(token.error(), request);
  co_return http::Response::text(200, "application/jwt", *std::move(token));
}

net::awaitable<http::Response> Server::poll(http::Request& request, Caller caller,
                                            Result<rollout::Device> device) {
  if (!device) co_return failure(device.error(), request);
  auto instruction = co_await plane_.next_deployment(std::move(caller), *std::move(device));
  if (!instruction) co_return failure(instruction.error(), request);
  if (!instruction->has_value()) co_return http::Response::empty(204);
  co_return http::json_answer(200, encode_instruction(**instruction));
}

net::awaitable<http::Response> Server::report_status(http::Request& request, Caller caller) {
  const auto body = co_await http::read_json(request, kBodyBytesMax);
  if (!body) co_return failure(body.error(), request);
  auto report = decode_status(*body);
  if (!report) co_return failure(report.error(), request);
  auto stored = co_await plane_.report_status(std::move(caller), request.parameter("id"), report->status,
                                              std::move(report->substate));
  if (!stored) co_return failure(stored.error(), request);
  co_return http::Response::empty(204);
}

net::awaitable<http::Response> Server::store_log(http::Request& request, Caller caller) {
  const auto body = co_await http::read_json(request, kBodyBytesMax);
  if (!body) co_return failure(body.error(), request);
  auto entries = decode_log(*body);
  if (!entries) co_return failure(entries.error(), request);
  auto stored = co_await plane_.store_log(std::move(caller), request.parameter("id"), *std::move(entries));
  if (!stored) co_return failure(stored.error(), request);
  co_return http::Response::empty(204);
}

net::awaitable<http::Response> Server::take_inventory(http::Request& request, Caller caller,
                                                      InventoryMode mode) {
  const auto body = co_await http::read_json(request, kBodyBytesMax);
  if (!body) co_return failure(body.error(), request);
  auto attributes = decode_inventory(*body);
  if (!attributes) co_return failure(attributes.error(), request);
  auto taken = co_await plane_.take_inventory(std::move(caller), *std::move(attributes), mode);
  if (!taken) co_return failure(taken.error(), request);
  co_return http::Response::empty(200);  // with Content-Length: 0, which the server adds (real-clients 2)
}

}  // namespace postern::device_api
