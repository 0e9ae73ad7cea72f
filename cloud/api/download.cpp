#include "cloud/api/download.hpp"

#include "cloud/plane.hpp"
#include "shared/device_api/server.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/range.hpp"

namespace postern::cloud {
namespace {

/// A file name for Content-Disposition; what could end the quoted text is replaced.
std::string file_name(std::string_view artifact_name) {
  std::string name(artifact_name);
  std::ranges::replace_if(
      name, [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\' || c == '/'; }, '_');
  return name + ".mender";
}

/// A body that logs, when it is dropped, how much of it the connection has taken.
class ReportedBody final : public http::Body {
 public:
  struct About {
    std::string request;
    std::string deployment;
    std::string artifact;
    std::string gateway;
    std::string peer;
    std::uint64_t first = 0;
  };

  ReportedBody(std::unique_ptr<http::Body> body, About about, Log& log)
      : body_(std::move(body)), about_(std::move(about)), log_(log) {}
  ~ReportedBody() override {
    log_.info("download.served", {{"request", about_.request},
                                  {"deployment", about_.deployment},
                                  {"artifact", about_.artifact},
                                  {"first", about_.first},
                                  {"size_bytes", taken_},
                                  {"complete", is_complete_},
                                  {"gateway", about_.gateway},
                                  {"peer", about_.peer}});
  }

  std::optional<std::uint64_t> length() const override { return body_->length(); }
  net::awaitable<Result<Bytes>> next() override {
    // Whoever asks for another piece has got rid of the one before.
    taken_ += std::exchange(given_, 0);
    POSTERN_CO_TRY(const Bytes piece, co_await body_->next());
    given_ = piece.size();
    is_complete_ = piece.empty();
    co_return piece;
  }

 private:
  std::unique_ptr<http::Body> body_;
  const About about_;
  Log& log_;
  std::uint64_t given_ = 0;
  std::uint64_t taken_ = 0;
  bool is_complete_ = false;
};

}  // namespace

void DownloadRoute::add_routes(http::Router& router) {
  router.add("GET", kDownloadRoute,
             [this](http::Request& request) { return serve(request, request.parameter("deployment")); });
  router.add("GET", kGatewayDownloadRoute, [this](http::Request& request) { return serve(request, ""); });
}

net::awaitable<http::Response> DownloadRoute::serve(http::Request& request, std::string deployment) {
  const bool is_ranged = request.headers.find("Range").has_value();
  auto answered = co_await answer(request, deployment);
  if (answered) co_return *std::move(answered);
  const Error& error = answered.error();
  log_.warn("download.refused", {{"request", request.id},
                                 {"deployment", deployment},
                                 {"artifact", request.parameter("artifact")},
                                 {"ranged", is_ranged},
                                 {"error", error.what}});
  if (is_ranged) co_return http::Response::close_connection();
  co_return http::error_answer(error, request);
}

net::awaitable<Result<http::Response>> DownloadRoute::answer(http::Request& request, std::string deployment) {
  const auto range_field = request.headers.find("Range");
  const LinkCheck link = links_.verify(request.method, request.target, clock_.wall());
  POSTERN_CO_CHECK(admit_link(link, range_field.has_value()));
  POSTERN_CO_TRY(const Item item, co_await find(request.parameter("artifact"), deployment));
  if (link.verdict == LinkVerdict::expired && !item.is_open) {
    co_return rejected(Reason::forbidden, "URL expired");
  }

  const std::uint64_t total = item.artifact.size_bytes;
  const auto wanted = http::parse_range(range_field, total);
  if (wanted.present && !wanted.range) co_return invalid("range cannot be satisfied");
  http::Response response;
  response.headers.set("Content-Type", "application/vnd.mender-artifact");
  response.headers.set("Content-Disposition",
                       fmt::format("attachment; filename=\"{}\"", file_name(item.artifact.name)));
  response.headers.set("Accept-Ranges", "bytes");
  std::uint64_t first = 0;
  std::uint64_t size = total;
  if (wanted.range) {
    response.status = 206;
    response.headers.set("Content-Range", wanted.range->content_range(total));
    first = wanted.range->first;
    size = wanted.range->size();
  }
  auto body = co_await pool_.run([&] { return blobs_.read(item.artifact.id, first, size); });
  if (!body) co_return corrupt(fmt::format("file of artifact {}: {}", item.artifact.id, body.error().what));
  if (request.method != "GET") {
    response.body = *std::move(body);  // for its length
    co_return response;
  }
  POSTERN_CO_TRY(Place place, co_await gateways_.place_of(device_api::arrival_of(request)));
  response.body = std::make_unique<ReportedBody>(*std::move(body),
                                                 ReportedBody::About{.request = request.id,
                                                                     .deployment = std::move(deployment),
                                                                     .artifact = item.artifact.id,
                                                                     .gateway = std::move(place.gateway_name),
                                                                     .peer = request.peer,
                                                                     .first = first},
                                                 log_);
  co_return response;
}

net::awaitable<Result<DownloadRoute::Item>> DownloadRoute::find(std::string artifact_id,
                                                                std::string deployment_id) {
  std::optional<Artifact> artifact;
  std::optional<Deployment> deployment;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(artifact, tx.artifacts().find(artifact_id));
    if (deployment_id.empty()) return {};
    POSTERN_TRY(deployment, tx.deployments().find(deployment_id));
    return {};
  }));
  if (!artifact || (!deployment && !deployment_id.empty())) co_return not_found("Resource not found");
  co_return Item{.artifact = *std::move(artifact), .is_open = deployment && !deployment->finished};
}

}  // namespace postern::cloud
