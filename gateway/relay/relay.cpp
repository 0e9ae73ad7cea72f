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

/// Nothing that a server behind us could take for a piece of a path.
bool is_plain(std::string_view parameter) {
  return parameter != "." && parameter != ".." &&
         std::ranges::none_of(parameter, [](char c) { return c == '/' || c == '\\' || (c >= 0 && c < ' '); });
}

/// Requests that change nothing when they come twice though their method does not promise that. An alert is
/// not among them.
bool may_come_twice(const http::Request& request) {
  return request.method == "PATCH" || request.path == kAuthRoute ||
         request.path.ends_with("/deployments/next");
}

/// What a token says whose it is. Only the server can tell whether that is true.
std::string subject_of(std::string_view token) {
  const auto dot = token.find('.');
  const auto end = dot == std::string_view::npos ? dot : token.find('.', dot + 1);
  if (end == std::string_view::npos) return "-";
  const auto claims = from_base64url(token.substr(dot + 1, end - dot - 1));
  if (!claims) return "-";
  const auto parsed = http::parse_json(as_text(*claims));
  if (!parsed || !parsed->is_object()) return "-";
  const auto subject = http::string_member(parsed->as_object(), "sub");
  constexpr std::size_t kBytesMax = 64;
  return subject && !subject->empty() ? subject->substr(0, kBytesMax) : "-";
}

std::unique_ptr<http::Body> text_body(std::string text) {
  return std::make_unique<http::TextBody>(std::move(text));
}

}  // namespace

void Relay::add(http::Router& router, std::string_view method, std::string_view pattern, Handler handler,
                Needs needs) {
  router.add(method, pattern,
             [this, handler, needs,
              route = std::string(pattern)](http::Request& request) -> net::awaitable<http::Response> {
               http::Response response = co_await serve(request, handler, needs);
               const std::uint64_t size = response.body ? response.body->length().value_or(0) : 0;
               traffic_.site.charge(Traffic::state, size);
               metrics_.count_request(request.method, response.status, route, size);
               co_return response;
             });
}

net::awaitable<http::Response> Relay::serve(http::Request& request, Handler handler, Needs needs) {
  if (needs == Needs::token && gatekeeper_ != nullptr) {
    if (auto allowed = gatekeeper_->check_token(request); !allowed)
      co_return failure(allowed.error(), request);
  }
  if (!std::ranges::all_of(request.parameters, is_plain, &std::pair<std::string, std::string>::second)) {
    co_return http::error_answer(404, "not found", request);
  }
  auto body = co_await read(*request.body, kRequestBytesMax);
  if (body) co_return co_await (this->*handler)(request, *std::move(body));
  log_.info("relay.request_not_read", {{"request", request.id},
                                       {"device", device_of(request)},
                                       {"peer", request.peer},
                                       {"error", body.error().what}});
  if (body.error().reason == Reason::too_large) {
    co_return http::error_answer(500, body.error().what, request);
  }
  if (body.error().kind == Kind::rejected) co_return http::error_answer(400, body.error().what, request);
  co_return http::Response::close_connection();
}

net::awaitable<Result<std::string>> Relay::read(http::Body& body, std::size_t size_max) {
  const auto too_large = [&] {
    return rejected(Reason::too_large, fmt::format("body is larger than {} bytes", size_max));
  };
  const std::uint64_t length = body.length().value_or(0);
  if (length > size_max) co_return too_large();
  const SteadyTime end = clock_.now() + options_.body_max;
  std::string text;
  for (;;) {
    POSTERN_CO_TRY(const Bytes piece, co_await body.next());
    if (piece.empty()) co_return text;
    if (text.size() + piece.size() > size_max) co_return too_large();
    if (clock_.now() > end) co_return Error{Kind::exhausted, Reason::timed_out, "the body takes too long"};
    text += as_text(piece);
  }
}

void Relay::add_routes(http::Router& router) {
  const std::string deployments = "/deployments/device/deployments";
  const std::string v1 = "/api/devices/v1";
  const std::string v2 = "/api/devices/v2";
  add(router, "POST", kAuthRoute, &Relay::authenticate, Needs::nothing);
  add(router, "GET", v1 + deployments + "/next", &Relay::poll);
  add(router, "POST", v1 + deployments + "/next", &Relay::poll);
  add(router, "POST", v2 + deployments + "/next", &Relay::poll);
  add(router, "PUT", v1 + deployments + "/{id}/status", &Relay::pass);
  add(router, "PUT", v1 + deployments + "/{id}/log", &Relay::take_log);
  add(router, "GET", v2 + deployments + "/{id}/update_control_map", &Relay::pass);
  // The link is signed, and nobody sends a token with it (device-protocol 3.2).
  add(router, "GET", v1 + "/deployments/download/configuration/{deployment}/{type}/{device}", &Relay::pass,
      Needs::nothing);
  for (const std::string_view method : {"PUT", "PATCH"}) {
    add(router, method, v1 + "/inventory/device/attributes", &Relay::take_inventory);
  }
  add(router, "GET", v1 + "/deviceconfig/configuration", &Relay::pass);
  add(router, "PUT", v1 + "/deviceconfig/configuration", &Relay::pass);
  add(router, "GET", v1 + "/deviceconnect/connect", &Relay::connect);
  // The monitor add-on's, which only other servers than the open-source one know.
  add(router, "POST", v1 + "/devicemonitor/alert", &Relay::pass);
  add(router, "GET", v1 + "/devicemonitor/config", &Relay::pass);
  add(router, "PUT", v1 + "/devicemonitor/config", &Relay::pass);
}

std::string Relay::device_of(const http::Request& request) const {
  if (gatekeeper_ != nullptr) return gatekeeper_->device_of(request);
  return subject_of(device_api::bearer_token(request).value_or(""));
}

http::Response Relay::failure(const Error& error, const http::Request& request) {
  if (error.reason == Reason::unauthorized) return http::Response::empty(401);
  if (error.kind == Kind::rejected && error.reason != Reason::too_large) {
    return http::error_answer(400, error.what, request);
  }
  log_.warn("relay.request_failed", {{"request", request.id},
                                     {"device", device_of(request)},
                                     {"method", request.method},
                                     {"path", request.path},
                                     {"kind", to_string(error.kind)},
                                     {"error", error.what}});
  return http::error_answer(500, "the upstream server cannot be reached now", request);
}

http::Request Relay::onward(const http::Request& request, std::string body) const {
  http::Request out;
  out.method = request.method;
  out.target = request.target;
  out.headers = headers_for_upstream(request);
  out.may_repeat = may_come_twice(request);
  if (!body.empty() || request.method != "GET") out.body = text_body(std::move(body));
  return out;
}

net::awaitable<http::Response> Relay::forward(http::Request& request, std::string body, bool is_poll) {
  traffic_.uplink.charge(Traffic::state, request.target.size() + body.size());
  auto answer = co_await upstream_.send(onward(request, std::move(body)));
  // What went wrong between us and the upstream is nothing that the device has done.
  if (!answer) co_return failure(transient(answer.error().what), request);
  co_return co_await give_back(request, *std::move(answer), is_poll);
}

net::awaitable<http::Response> Relay::give_back(http::Request& request, http::Response answer, bool is_poll) {
  auto content = co_await read(*answer.body, kAnswerBytesMax);
  if (!content) co_return failure(transient(content.error().what), request);
  traffic_.uplink.charge(Traffic::state, content->size());
  http::Response response;
  response.status = answer.status;
  response.headers = headers_for_device(answer);
  response.body = text_body(*std::move(content));
  co_return make_digestible(std::move(response), request, is_poll);
}

net::awaitable<http::Response> Relay::connect(http::Request& request, std::string body) {
  if (!asks_for_websocket(request)) co_return co_await forward(request, std::move(body));
  auto place = tunnels_.enter();
  if (!place) {
    log_.warn("tunnel.refused", {{"request", request.id},
                                 {"device", device_of(request)},
                                 {"open", tunnels_.count()},
                                 {"error", "there are as many as Postern.Relay.TunnelsMax allows"}});
    co_return http::error_answer(500, "too many connections of this kind", request);
  }
  http::Request out = onward(request, std::move(body));
  out.headers.set("Upgrade", "websocket");
  auto upgraded = co_await upstream_.upgrade(std::move(out));
  if (!upgraded) co_return failure(transient(upgraded.error().what), request);
  if (!upgraded->stream) co_return co_await give_back(request, std::move(upgraded->response), false);
  http::Response response;
  response.status = 101;
  response.headers = headers_for_device(upgraded->response);
  response.headers.set("Upgrade", "websocket");
  response.headers.set("Connection", "Upgrade");
  response.tunnel = [this, place = *std::move(place), watchdog = co_await upstream_.watchdog(),
                     upstream = std::move(upgraded->stream), early = std::move(upgraded->early),
                     id = request.id,
                     device = device_of(request)](Stream& stream, Bytes from_device) mutable {
    return tunnels_.run(std::move(place), std::move(watchdog),
                        {.device = stream,
                         .early_from_device = from_device,
                         .upstream = std::move(upstream),
                         .early_from_upstream = std::move(early)},
                        std::move(id), std::move(device));
  };
  co_return response;
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
  auto response = co_await forward(request, body, true);
  if (response.status != 200) co_return response;
  Poll poll{.method = request.method,
            .target = request.target,
            .headers = headers_for_upstream(request),
            .body = std::move(body)};
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
  if (!options_.attributes.empty()) {
    // A body that cannot be read goes on as it is: the upstream says best what is wrong with it.
    if (auto extended = add_attributes(body, options_.attributes)) body = *std::move(extended);
  }
  return forward(request, std::move(body));
}

net::awaitable<http::Response> Relay::take_log(http::Request& request, std::string body) {
  if (body.size() > kLogBytesMax) {
    auto cut = cut_log(body, kLogBytesMax);
    if (!cut) co_return failure(cut.error(), request);
    log_.info("relay.log_cut", {{"request", request.id},
                                {"device", device_of(request)},
                                {"deployment", request.parameter("id")},
                                {"size_bytes", body.size()}});
    body = *std::move(cut);
  }
  co_return co_await forward(request, std::move(body));
}

}  // namespace postern::gateway
