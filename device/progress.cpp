#include "device/progress.hpp"

#include <unistd.h>

#include <iostream>

namespace postern::device {
namespace {

class ProgressBody final : public http::Body {
 public:
  explicit ProgressBody(std::unique_ptr<http::Body> body) : body_(std::move(body)) {}
  ~ProgressBody() override {
    if (!shown_.empty()) std::cerr << '\n';
  }
  std::optional<std::uint64_t> length() const override { return body_->length(); }
  http::net::awaitable<Result<Bytes>> next() override {
    auto piece = co_await body_->next();
    if (piece) show(piece->size());
    co_return piece;
  }

 private:
  void show(std::size_t more_bytes) {
    done_bytes_ += more_bytes;
    std::string text = progress_text(done_bytes_, body_->length());
    if (text == shown_) return;
    std::cerr << '\r' << text << std::flush;
    shown_ = std::move(text);
  }

  std::unique_ptr<http::Body> body_;
  std::uint64_t done_bytes_ = 0;
  std::string shown_;
};

}  // namespace

std::unique_ptr<http::Body> with_progress(std::unique_ptr<http::Body> body) {
  if (::isatty(STDERR_FILENO) == 0) return body;
  return std::make_unique<ProgressBody>(std::move(body));
}

std::string progress_text(std::uint64_t done_bytes, std::optional<std::uint64_t> total_bytes) {
  constexpr double kMegabyte = 1e6;
  const double done = static_cast<double>(done_bytes) / kMegabyte;
  if (!total_bytes || *total_bytes == 0) return fmt::format("{:.1f} MB", done);
  const double total = static_cast<double>(*total_bytes) / kMegabyte;
  return fmt::format("{:3.0f}%  {:.1f} of {:.1f} MB", 100 * done / total, done, total);
}

}  // namespace postern::device
