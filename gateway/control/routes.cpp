#include "gateway/control/routes.hpp"

#include <charconv>

#include <boost/json.hpp>

#include "gateway/control/schedule.hpp"
#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

namespace json = boost::json;

constexpr std::size_t kBodyBytesMax = 1 << 20;

Result<std::uint64_t> id_in(const http::Request& request) {
  const std::string& text = request.parameter("id");
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) {
    return invalid(fmt::format("\"{}\" is no number of a prefetch", text));
  }
  return id;
}

net::awaitable<Result<json::object>> read_object(http::Request& request) {
  POSTERN_CO_TRY(const std::string body, co_await http::read_all(*request.body, kBodyBytesMax));
  if (body.empty()) co_return json::object();
  POSTERN_CO_TRY(const json::value value, http::parse_json(body));
  if (!value.is_object()) co_return invalid("the request is no JSON object");
  co_return value.as_object();
}

}  // namespace

void ControlRoutes::add(http::Router& router, std::string_view method, std::string_view pattern,
                        ControlHandler handler) {
  router.add(method, pattern, [this, handler](http::Request& request) -> net::awaitable<http::Response> {
    auto answer = co_await (this->*handler)(request);
    log_.debug("control.asked", {{"method", request.method}, {"path", request.path}, {"peer", request.peer}});
    if (answer) co_return *std::move(answer);
    // Who may ask here may know everything.
    co_return http::error_answer(http::status_of(answer.error()), answer.error().what, request);
  });
}

void ControlRoutes::add_routes(http::Router& router) {
  add(router, "GET", "/v1/status", &ControlRoutes::show_status);
  add(router, "GET", "/v1/cache", &ControlRoutes::list_cache);
  add(router, "POST", "/v1/cache/verify", &ControlRoutes::verify);
  add(router, "POST", "/v1/cache/pin", &ControlRoutes::pin);
  add(router, "POST", "/v1/cache/unpin", &ControlRoutes::unpin);
  add(router, "POST", "/v1/cache/evict", &ControlRoutes::evict);
  add(router, "POST", "/v1/cache/gc", &ControlRoutes::collect);
  add(router, "GET", "/v1/prefetches", &ControlRoutes::list_prefetches);
  add(router, "POST", "/v1/prefetches", &ControlRoutes::add_prefetch);
  add(router, "GET", "/v1/prefetches/{id}", &ControlRoutes::show_prefetch);
  add(router, "DELETE", "/v1/prefetches/{id}", &ControlRoutes::cancel_prefetch);
}

ControlRoutes::Answer ControlRoutes::show_status(http::Request&) {
  co_return http::json_answer(200, to_json(co_await status_()));
}

ControlRoutes::Answer ControlRoutes::list_cache(http::Request&) {
  POSTERN_CO_TRY(const auto kept, keeper_.list());
  json::array artifacts;
  for (const KeptArtifact& artifact : kept) artifacts.push_back(to_json(artifact));
  co_return http::json_answer(200, json::object{{"artifacts", std::move(artifacts)}});
}

net::awaitable<Result<ControlRoutes::Choice>> ControlRoutes::read_choice(http::Request& request) {
  POSTERN_CO_TRY(const json::object object, co_await read_object(request));
  Choice choice;
  const json::value* force = object.if_contains("force");
  choice.force = force != nullptr && force->is_bool() && force->get_bool();
  const json::value* named = object.if_contains("artifacts");
  if (named == nullptr) co_return choice;
  if (!named->is_array()) co_return invalid("artifacts has to be an array");
  for (const json::value& name : named->as_array()) {
    if (!name.is_string()) co_return invalid("artifacts has to hold names or keys");
    POSTERN_CO_TRY(const auto found, keeper_.find(std::string_view(name.as_string())));
    if (found.empty()) {
      co_return not_found(fmt::format("no artifact \"{}\" is here", std::string_view(name.as_string())));
    }
    for (const ArtifactKey& key : found) {
      if (std::ranges::find(choice.keys, key) == choice.keys.end()) choice.keys.push_back(key);
    }
  }
  co_return choice;
}

http::Response ControlRoutes::changed(const Choice& choice) const {
  json::array keys;
  for (const ArtifactKey& key : choice.keys) keys.push_back(json::string(to_text(key)));
  return http::json_answer(200, json::object{{"changed", std::move(keys)}});
}

ControlRoutes::Answer ControlRoutes::verify(http::Request& request) {
  POSTERN_CO_TRY(const Choice choice, co_await read_choice(request));
  POSTERN_CO_TRY(const auto reports, co_await keeper_.verify(choice.keys));
  json::array described;
  for (const VerifyReport& report : reports) described.push_back(to_json(report));
  co_return http::json_answer(200, json::object{{"reports", std::move(described)}});
}

ControlRoutes::Answer ControlRoutes::pin(http::Request& request) {
  POSTERN_CO_TRY(const Choice choice, co_await read_choice(request));
  for (const ArtifactKey& key : choice.keys) POSTERN_CO_CHECK(co_await keeper_.pin(key));
  co_return changed(choice);
}

ControlRoutes::Answer ControlRoutes::unpin(http::Request& request) {
  POSTERN_CO_TRY(const Choice choice, co_await read_choice(request));
  for (const ArtifactKey& key : choice.keys) POSTERN_CO_CHECK(co_await keeper_.unpin(key));
  co_return changed(choice);
}

ControlRoutes::Answer ControlRoutes::evict(http::Request& request) {
  POSTERN_CO_TRY(const Choice choice, co_await read_choice(request));
  for (const ArtifactKey& key : choice.keys) POSTERN_CO_CHECK(co_await keeper_.evict(key, choice.force));
  co_return changed(choice);
}

ControlRoutes::Answer ControlRoutes::collect(http::Request&) {
  POSTERN_CO_TRY(const Collected collected, co_await keeper_.collect());
  co_return http::json_answer(200, json::object{{"chunks", collected.chunks},
                                                {"bytes", collected.bytes},
                                                {"segments", collected.segments},
                                                {"disk_bytes", collected.disk_bytes}});
}

ControlRoutes::Answer ControlRoutes::list_prefetches(http::Request&) {
  POSTERN_CO_TRY(const auto kept, keeper_.list());
  json::array all;
  for (const Prefetch& prefetch : prefetches_.list()) all.push_back(to_json(prefetch, kept));
  co_return http::json_answer(200, json::object{{"prefetches", std::move(all)}});
}

ControlRoutes::Answer ControlRoutes::add_prefetch(http::Request& request) {
  POSTERN_CO_TRY(const json::object object, co_await read_object(request));
  POSTERN_CO_TRY(std::string what, http::string_member(object, "what"));
  POSTERN_CO_TRY(const std::string at, http::string_member(object, "at"));
  POSTERN_CO_TRY(const std::string daily, http::string_member(object, "daily"));
  WallTime time = clock_.wall();
  if (!at.empty()) {
    POSTERN_CO_TRY(time, from_rfc3339(at));
  }
  std::optional<unsigned> minute;
  if (!daily.empty()) {
    POSTERN_CO_TRY(minute, parse_minute_of_day(daily));
  }
  POSTERN_CO_TRY(const Prefetch added, co_await prefetches_.add(std::move(what), time, minute));
  co_return http::json_answer(201, to_json(added, {}));
}

ControlRoutes::Answer ControlRoutes::show_prefetch(http::Request& request) {
  POSTERN_CO_TRY(const std::uint64_t id, id_in(request));
  const auto prefetch = prefetches_.find(id);
  if (!prefetch) co_return not_found(fmt::format("there is no prefetch {}", id));
  POSTERN_CO_TRY(const auto kept, keeper_.list());
  co_return http::json_answer(200, to_json(*prefetch, kept));
}

ControlRoutes::Answer ControlRoutes::cancel_prefetch(http::Request& request) {
  POSTERN_CO_TRY(const std::uint64_t id, id_in(request));
  POSTERN_CO_CHECK(co_await prefetches_.cancel(id));
  co_return http::Response::empty(204);
}

}  // namespace postern::gateway
