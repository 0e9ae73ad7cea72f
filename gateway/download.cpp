#include "gateway/download.hpp"

#include "gateway/traffic/limited_body.hpp"
#include "shared/http/answer.hpp"

namespace postern::gateway {
void DownloadRoute::add_routes(http::Router& router) {
  router.add("GET", kDownloadRoute, [this](http::Request& request) -> net::awaitable<http::Response> {
    http::Response response = co_await serve(request);
    metrics_.count_request(request.method, response.status, kDownloadRoute,
                           response.body ? response.body->length().value_or(0) : 0);
    co_return response;
  });
}

net::awaitable<http::Response> DownloadRoute::serve(http::Request& request) {
  const bool is_ranged = request.headers.find("Range").has_value();
  auto answered = co_await answer(request);
  if (answered) co_return *std::move(answered);
  const Error& error = answered.error();
  log_.warn("download.refused", {{"request", request.id},
                                 {"key", request.parameter("key")},
                                 {"peer", request.peer},
                                 {"ranged", is_ranged},
                                 {"error", error.what}});
  // A client that sees no answer asks again later; one that sees an error may give up for good (real-clients
  // 3).
  const bool is_about_the_link = error.reason == Reason::forbidden || error.reason == Reason::not_found ||
                                 error.reason == Reason::invalid;
  if (is_ranged || !is_about_the_link) co_return http::Response::close_connection();
  co_return http::error_answer(error, request);
}

net::awaitable<Result<http::Response>> DownloadRoute::answer(http::Request& request) {
  const auto range_field = request.headers.find("Range");
  const LinkCheck link = signer_.verify(request.method, request.target, clock_.wall());
  POSTERN_CO_CHECK(admit_link(link, range_field.has_value()));
  const auto key = parse_artifact_key(request.parameter("key"));
  if (!key) co_return not_found("Resource not found");
  auto opened =
      co_await cache_.open(*key, range_field ? std::optional(std::string(*range_field)) : std::nullopt);
  if (!opened) {
    Error error = std::move(opened).error();
    // Ours is the link, and it is good: whatever the upstream says about its own is a failure behind us.
    if (error.reason != Reason::invalid || error.what != "range cannot be satisfied")
      error.reason = Reason::none;
    co_return error;
  }
  http::Response response;
  response.headers.set("Content-Type", "application/vnd.mender-artifact");
  response.headers.set("Content-Disposition", "attachment; filename=\"artifact.mender\"");
  response.headers.set("Accept-Ranges", "bytes");
  if (opened->is_ranged) {
    response.status = 206;
    response.headers.set(
        "Content-Range",
        http::ByteRange{.first = opened->first, .last = opened->last}.content_range(opened->total));
  }
  // Whoever continues behind the first byte took a place when it began.
  response.body = std::make_unique<LimitedBody>(std::move(opened->body), site_,
                                                admission_.begin_download(opened->first == 0));
  co_return response;
}

}  // namespace postern::gateway
