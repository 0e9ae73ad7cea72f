#include "device/server/download.hpp"

#include "device/server/answer.hpp"
#include "shared/http/range.hpp"

namespace postern::device {
namespace {

constexpr std::size_t kErrorBodyBytesMax = 64 << 10;

/// Whether asking once more can help.
bool is_passing(const Error& error) {
  return error.kind == Kind::transient || error.kind == Kind::exhausted;
}

/// Counts the tries of one download and waits before each.
class Retries {
 public:
  Retries(Clock& clock, Log& log, const DownloadOptions& options)
      : clock_(clock), log_(log), left_(options.retries), wait_(options.wait) {}

  /// Waits before the next try. Errors: exhausted, with `why`, when there is none; cancelled.
  net::awaitable<Status> wait(const Error& why, std::uint64_t offset) {
    if (left_ == 0) {
      co_return exhausted(fmt::format("download: given up at byte {}: {}", offset, why.what));
    }
    --left_;
    log_.warn("download.interrupted", {{"offset", offset},
                                       {"error", why.what},
                                       {"retry_in_ms", wait_ / std::chrono::milliseconds(1)},
                                       {"tries_left", left_}});
    co_return co_await clock_.sleep(wait_);
  }

 private:
  Clock& clock_;
  Log& log_;
  int left_;
  Duration wait_;
};

net::awaitable<Result<http::Response>> get(http::Client& client, const http::Url& url,
                                           const DownloadOptions& options, std::string range) {
  http::Request request;
  request.method = "GET";
  request.headers.add("User-Agent", options.user_agent);
  if (!range.empty()) request.headers.add("Range", std::move(range));
  co_return co_await client.send(url, std::move(request));
}

/// What a refusal says.
net::awaitable<Error> refusal(http::Response response) {
  Answer answer{response.status, std::move(response.headers), {}};
  // A body that cannot be read only makes the message shorter.
  if (response.body) answer.body = (co_await http::read_all(*response.body, kErrorBodyBytesMax)).value_or("");
  co_return error_of("download", answer);
}

class ResumingBody final : public http::Body {
 public:
  ResumingBody(http::Client& client, http::Url url, DownloadOptions options, Retries retries,
               std::uint64_t total, std::unique_ptr<http::Body> first)
      : client_(client),
        url_(std::move(url)),
        options_(std::move(options)),
        retries_(retries),
        total_(total),
        current_(std::move(first)) {}

  std::optional<std::uint64_t> length() const override { return total_; }

  net::awaitable<Result<Bytes>> next() override {
    while (offset_ < total_) {
      auto piece = co_await read_piece();
      if (piece) {
        offset_ += piece->size();
        co_return piece;
      }
      // The connection is of no more use, whatever came over it.
      current_.reset();
      if (!is_passing(piece.error())) co_return piece;
      POSTERN_CO_CHECK(co_await retries_.wait(piece.error(), offset_));
    }
    co_return Bytes{};
  }

 private:
  /// At least one byte, from a new request when there is none under way.
  net::awaitable<Result<Bytes>> read_piece() {
    if (!current_) POSTERN_CO_CHECK(co_await resume());
    POSTERN_CO_TRY(const Bytes piece, co_await current_->next());
    if (piece.empty())
      co_return transient(fmt::format("download: the body ended at byte {} of {}", offset_, total_));
    if (piece.size() > total_ - offset_) {
      co_return corrupt(fmt::format("download: the body is larger than its {} bytes", total_));
    }
    co_return piece;
  }

  net::awaitable<Status> resume() {
    const http::ByteRange rest{offset_, total_ - 1};
    auto response = co_await get(client_, url_, options_, fmt::format("bytes={}-{}", rest.first, rest.last));
    if (!response) co_return std::move(response).error();
    if (response->status == 200) {
      co_return transient("download: the server sends everything where the rest was asked for");
    }
    if (response->status != 206) co_return co_await refusal(*std::move(response));
    const auto range = response->headers.find("Content-Range");
    if (range != rest.content_range(total_)) {
      co_return rejected(Reason::none, fmt::format("download: \"{}\" was asked for, and \"{}\" is sent",
                                                   rest.content_range(total_), range.value_or("")));
    }
    current_ = std::move(response->body);
    if (!current_ || current_->length().value_or(rest.size()) != rest.size()) {
      current_.reset();
      co_return rejected(Reason::none, "download: the size of the rest has changed");
    }
    co_return Status{};
  }

  http::Client& client_;
  const http::Url url_;
  const DownloadOptions options_;
  Retries retries_;
  const std::uint64_t total_;
  std::uint64_t offset_ = 0;
  std::unique_ptr<http::Body> current_;  ///< null between two requests
};

}  // namespace

net::awaitable<Result<std::unique_ptr<http::Body>>> open_download(http::Client& client, Clock& clock,
                                                                  Log& log, http::Url url,
                                                                  DownloadOptions options) {
  Retries retries(clock, log, options);
  auto response = co_await get(client, url, options, "");
  while (!response && is_passing(response.error())) {
    POSTERN_CO_CHECK(co_await retries.wait(response.error(), 0));
    response = co_await get(client, url, options, "");
  }
  if (!response) co_return std::move(response).error().within("download");
  if (response->status != 200) co_return co_await refusal(*std::move(response));
  const auto total = response->body ? response->body->length() : std::optional<std::uint64_t>();
  if (!total) co_return rejected(Reason::none, "download: the answer has no Content-Length");
  co_return std::make_unique<ResumingBody>(client, std::move(url), std::move(options), retries, *total,
                                           std::move(response->body));
}

}  // namespace postern::device
