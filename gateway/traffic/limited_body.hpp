// The body of an artifact's answer, at the pace of the site's link.
#pragma once

#include "gateway/traffic/admission.hpp"
#include "gateway/traffic/limiter.hpp"
#include "shared/http/message.hpp"

namespace postern::gateway {

/// Hands out a body once the link has room for it, and counts as one download as long as it lives. Asks the
/// link for a whole grant at a time, so that what follows a piece can be lent. Runs on: the connection's
/// executor.
class LimitedBody final : public http::Body {
 public:
  /// The limiter outlives it.
  LimitedBody(std::unique_ptr<http::Body> body, Limiter& link, Admission::Download download)
      : body_(std::move(body)),
        link_(link),
        download_(std::move(download)),
        left_(body_->length().value_or(std::numeric_limits<std::uint64_t>::max())) {}
  ~LimitedBody() override {
    if (credit_ > 0) link_.refund(Traffic::bulk, credit_);
  }

  std::optional<std::uint64_t> length() const override { return body_->length(); }
  net::awaitable<Result<Bytes>> next() override;
  Result<std::size_t> lend(std::size_t size_max, const TakeBytes& take) override;

 private:
  net::awaitable<Status> earn();

  std::unique_ptr<http::Body> body_;
  Limiter& link_;
  Admission::Download download_;
  std::uint64_t left_;      ///< of the body
  std::size_t credit_ = 0;  ///< granted and not used yet
  Bytes rest_;              ///< of the body's last piece, not handed out yet
};

}  // namespace postern::gateway
