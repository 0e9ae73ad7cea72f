#include "cloud/api/gateways.hpp"

#include <boost/json.hpp>

#include "cloud/api/preauthorization.hpp"
#include "shared/device_api/server.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/url.hpp"

namespace postern::cloud {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyBytesMax = 1 << 20;

http::Response answer_to(const VouchingOutcome& outcome, const http::Request& request) {
  switch (outcome.vouching) {
    case Vouching::added: {
      http::Response created = http::Response::empty(201);
      created.headers.set("Location", "devices/" + outcome.device_id);
      return created;
    }
    case Vouching::known:
      return http::Response::empty(204);
    case Vouching::rejected:
    case Vouching::conflict:
      break;
  }
  const std::string_view why = outcome.vouching == Vouching::rejected
                                   ? "this key of the device was rejected: an operator has to accept it"
                                   : "the device is accepted elsewhere: an operator has to accept this key";
  return http::json_answer(
      409, {{"error", why}, {"reason", to_string(outcome.vouching)}, {"request_id", request.id}});
}

}  // namespace

void GatewayRoutes::add_routes(http::Router& router) {
  router.add("POST", "/api/gateways/v1/preauthorizations", for_gateways(&GatewayRoutes::preauthorize));
  router.add("GET", "/api/gateways/v1/artifacts", for_gateways(&GatewayRoutes::find_artifacts));
  router.add("GET", "/api/gateways/v1/artifacts/{id}", for_gateways(&GatewayRoutes::show_artifact));
}

http::Handler GatewayRoutes::for_gateways(GatewayHandler handler) {
  return [this, handler](http::Request& request) -> net::awaitable<http::Response> {
    const auto gateway = co_await gateways_.place_of(device_api::arrival_of(request));
    if (!gateway) co_return failure(gateway.error(), request);
    if (gateway->is_direct()) co_return http::Response::empty(401);
    auto answer = co_await (this->*handler)(request, *gateway);
    if (!answer) co_return failure(answer.error(), request);
    co_return *std::move(answer);
  };
}

http::Response GatewayRoutes::failure(const Error& error, const http::Request& request) {
  if (error.reason == Reason::unauthorized) return http::Response::empty(401);
  if (error.kind != Kind::rejected && error.kind != Kind::cancelled) {
    log_.error("gateway_api.request_failed", {{"request", request.id},
                                              {"method", request.method},
                                              {"path", request.path},
                                              {"kind", to_string(error.kind)},
                                              {"error", error.what}});
  }
  return http::error_answer(error, request);
}

GatewayRoutes::Answer GatewayRoutes::preauthorize(http::Request& request, const Place& gateway) {
  POSTERN_CO_TRY(const json::value body, co_await http::read_json(request, kBodyBytesMax));
  POSTERN_CO_TRY(const Preauthorization wanted, decode_preauthorization(body));
  VouchingOutcome outcome;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(outcome, inspect_vouching(tx, wanted, gateway));
    return {};
  }));
  if (outcome.must_store) {
    const FreshIds fresh{.device = random_.uuid(), .auth_set = random_.uuid()};
    POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
      POSTERN_TRY(outcome, vouch(tx, wanted, gateway, fresh, now));
      return {};
    }));
  }
  log_.info("gateway.preauthorization_decided", {{"device", outcome.device_id},
                                                 {"gateway", gateway.gateway_name},
                                                 {"site", gateway.site},
                                                 {"decision", to_string(outcome.vouching)}});
  co_return answer_to(outcome, request);
}

json::object GatewayRoutes::describe(const Artifact& artifact) const {
  CloudPlane::SignedLink link = plane_.sign(download_path(artifact.id));
  return {
      {"id", artifact.id},
      {"name", artifact.name},
      {"device_types_compatible", json::array(artifact.device_types.begin(), artifact.device_types.end())},
      {"size", artifact.size_bytes},
      {"sha256", to_hex(artifact.digest)},
      {"uri", std::move(link.uri)},
      {"expire", to_rfc3339(link.expires)}};
}

GatewayRoutes::Answer GatewayRoutes::find_artifacts(http::Request& request, const Place& /*gateway*/) {
  POSTERN_CO_TRY(const auto parameters, http::parse_query(request.query));
  const auto name = http::find_parameter(parameters, "name");
  if (!name || name->empty()) co_return invalid("the parameter name is missing");
  std::vector<Artifact> found;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(found, tx.artifacts().release(*name));
    return {};
  }));
  json::array answer;
  for (const Artifact& artifact : found) answer.push_back(describe(artifact));
  co_return http::json_answer(200, answer);
}

GatewayRoutes::Answer GatewayRoutes::show_artifact(http::Request& request, const Place& /*gateway*/) {
  std::optional<Artifact> found;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(found, tx.artifacts().find(request.parameter("id")));
    return {};
  }));
  if (!found) co_return not_found("Resource not found");
  co_return http::json_answer(200, describe(*found));
}

}  // namespace postern::cloud
