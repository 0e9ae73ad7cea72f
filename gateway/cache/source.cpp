#include "gateway/cache/source.hpp"

#include "shared/http/range.hpp"

namespace postern::gateway {
namespace {

/// A wait in the background looks this often whether somebody has come who waits for the bytes.
constexpr Duration kUrgencyLook = std::chrono::seconds(1);

/// Counts what crosses the uplink, and reads no faster than the uplink's rate, so that TCP slows the sender.
class UplinkBody final : public http::Body {
 public:
  UplinkBody(std::unique_ptr<http::Body> body, Metrics& metrics, Limiter& uplink, TrafficOf traffic)
      : body_(std::move(body)), metrics_(metrics), uplink_(uplink), traffic_(std::move(traffic)) {}
  std::optional<std::uint64_t> length() const override { return body_->length(); }
  net::awaitable<Result<Bytes>> next() override {
    POSTERN_CO_TRY(const Bytes piece, co_await body_->next());
    metrics_.uplink_artifact_bytes += piece.size();
    if (!piece.empty()) POSTERN_CO_CHECK(co_await take_turn(piece.size()));
    co_return piece;
  }

 private:
  net::awaitable<Status> take_turn(std::size_t bytes) {
    if (uplink_.try_acquire(traffic_(), bytes)) co_return Status{};
    Duration left = Limiter::kWaitMax;
    for (;;) {
      const Traffic traffic = traffic_();
      const Duration limit = traffic == Traffic::background ? kUrgencyLook : left;
      auto acquired = co_await uplink_.acquire(traffic, bytes, limit);
      if (acquired || acquired.error().reason != Reason::timed_out) co_return acquired;
      left -= limit;
      if (left <= Duration(0)) co_return acquired;
    }
  }

  std::unique_ptr<http::Body> body_;
  Metrics& metrics_;
  Limiter& uplink_;
  TrafficOf traffic_;
};

bool is_dead_link(int status) {
  return status == 400 || status == 401 || status == 403 || status == 404 || status == 410;
}

Error refused(int status) {
  if (status == 416) return conflict("the artifact is shorter than its server said before");
  return is_dead_link(status)
             ? not_found(fmt::format("the upstream answers {} to the artifact's link", status))
             : transient(fmt::format("the upstream answers {} to the artifact's link", status));
}

}  // namespace

net::awaitable<Result<http::Response>> Source::get(const ArtifactKey& key, std::uint64_t first,
                                                   std::optional<std::uint64_t> last) {
  POSTERN_CO_TRY(const std::string uri, catalog_.source_of(key));
  POSTERN_CO_TRY(const http::Url url, http::Url::parse(uri));
  http::Headers headers;
  if (last) {
    headers.set("Range", fmt::format("bytes={}-{}", first, *last));
  } else if (first > 0) {
    headers.set("Range", fmt::format("bytes={}-", first));
  }
  co_return co_await upstream_.get(url, std::move(headers));
}

net::awaitable<Result<SourceStream>> Source::open(ArtifactKey key, std::uint64_t first,
                                                  std::optional<std::uint64_t> last, TrafficOf traffic) {
  if (uplink_.is_closed()) co_return exhausted("the uplink is closed to artifacts at this time of day");
  POSTERN_CO_TRY(auto response, co_await get(key, first, last));
  if (is_dead_link(response.status)) {
    if (auto renewed = co_await renew_(key); !renewed) co_return refused(response.status);
    POSTERN_CO_TRY(response, co_await get(key, first, last));
  }
  const bool is_ranged = first > 0 || last.has_value();
  SourceStream stream;
  if (is_ranged) {
    if (response.status != 206) co_return refused(response.status);
    const auto found = http::parse_content_range(response.headers.find("Content-Range").value_or(""));
    if (!found || found->range.first != first || found->range.last != last.value_or(found->total - 1)) {
      co_return invalid("the upstream's answer to a ranged request has another range");
    }
    stream = {.body = nullptr, .first = first, .last = found->range.last, .total = found->total};
  } else {
    if (response.status != 200) co_return refused(response.status);
    const auto length = response.body->length();
    if (!length || *length == 0) co_return invalid("the upstream does not say how long the artifact is");
    stream = {.body = nullptr, .first = 0, .last = *length - 1, .total = *length};
  }
  if (response.headers.find("Content-Encoding").value_or("identity") != "identity") {
    co_return invalid("the upstream sends the artifact with a content coding that nobody asked for");
  }
  stream.body = std::make_unique<UplinkBody>(std::move(response.body), metrics_, uplink_, std::move(traffic));
  co_return stream;
}

}  // namespace postern::gateway
