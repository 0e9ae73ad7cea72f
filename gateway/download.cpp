#include "gateway/download.hpp"

#include "gateway/traffic/limited_body.hpp"
#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

/// A part that is smaller is not worth a line: some devices fetch an artifact in thousands of them. The last
/// part always is.
constexpr std::uint64_t kNewsBytes = 1 << 20;

/// A body that says in the log, when it is dropped, what of it has left.
class ReportedBody final : public http::Body {
 public:
  struct About {
    std::string request;
    std::string peer;
    std::string device;
    std::string key;
    std::uint64_t first = 0;
    std::uint64_t total = 0;
    SteadyTime begun;
    std::shared_ptr<const std::uint64_t> cache_bytes;  ///< see OpenedArtifact
  };

  ReportedBody(std::unique_ptr<http::Body> body, About about, Clock& clock, Log& log)
      : body_(std::move(body)), about_(std::move(about)), clock_(clock), log_(log) {}
  ~ReportedBody() override {
    const std::uint64_t end = about_.first + given_;
    // What comes past the cache comes last, and some of what was taken may not have left.
    const std::uint64_t from_cache = about_.cache_bytes ? std::min(given_, *about_.cache_bytes) : 0;
    const bool is_news = given_ >= kNewsBytes || end == about_.total;
    log_.write(is_news ? LogLevel::info : LogLevel::debug, "download.served",
               {{"request", about_.request},
                {"peer", about_.peer},
                {"device", about_.device},
                {"key", about_.key},
                {"first", about_.first},
                {"size_bytes", given_},
                {"cache_bytes", from_cache},
                {"upstream_bytes", given_ - from_cache},
                {"total_bytes", about_.total},
                {"complete", end == about_.total},
                {"took_ms", (clock_.now() - about_.begun) / std::chrono::milliseconds(1)}});
  }

  std::optional<std::uint64_t> length() const override { return body_->length(); }
  net::awaitable<Result<Bytes>> next() override {
    POSTERN_CO_TRY(const Bytes piece, co_await body_->next());
    given_ += piece.size();
    co_return piece;
  }
  Result<std::size_t> lend(std::size_t size_max, const TakeBytes& take) override {
    POSTERN_TRY(const std::size_t lent, body_->lend(size_max, take));
    given_ += lent;
    return lent;
  }

 private:
  std::unique_ptr<http::Body> body_;
  const About about_;
  Clock& clock_;
  Log& log_;
  std::uint64_t given_ = 0;
};

}  // namespace

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
                                 {"device", device_of(request)},
                                 {"ranged", is_ranged},
                                 {"error", error.what}});
  // A client that sees no answer asks again later; one that sees an error may give up for good (real-clients
  // 3).
  const bool is_about_the_link = error.reason == Reason::forbidden || error.reason == Reason::not_found ||
                                 error.reason == Reason::invalid;
  if (is_ranged || !is_about_the_link) co_return http::Response::close_connection();
  co_return http::error_answer(error, request);
}

std::string DownloadRoute::device_of(const http::Request& request) const {
  return gatekeeper_ != nullptr ? gatekeeper_->device_of(request) : "-";
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
  auto limited = std::make_unique<LimitedBody>(std::move(opened->body), site_,
                                               admission_.begin_download(opened->first == 0));
  response.body = std::make_unique<ReportedBody>(std::move(limited),
                                                 ReportedBody::About{.request = request.id,
                                                                     .peer = request.peer,
                                                                     .device = device_of(request),
                                                                     .key = to_text(*key),
                                                                     .first = opened->first,
                                                                     .total = opened->total,
                                                                     .begun = clock_.now(),
                                                                     .cache_bytes = opened->cache_bytes},
                                                 clock_, log_);
  co_return response;
}

}  // namespace postern::gateway
