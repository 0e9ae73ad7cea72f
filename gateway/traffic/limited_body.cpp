#include "gateway/traffic/limited_body.hpp"

namespace postern::gateway {

net::awaitable<Result<Bytes>> LimitedBody::next() {
  if (rest_.empty()) {
    // The bytes first and the link's room then: room that waits for bytes would be lost to others.
    POSTERN_CO_TRY(rest_, co_await body_->next());
    if (rest_.empty()) co_return rest_;
  }
  Bytes piece = rest_;
  if (link_.is_unlimited()) {
    link_.charge(Traffic::bulk, piece.size());
  } else {
    if (credit_ == 0) POSTERN_CO_CHECK(co_await earn());
    piece = rest_.first(std::min(rest_.size(), credit_));
    credit_ -= piece.size();
  }
  rest_ = rest_.subspan(piece.size());
  left_ -= std::min<std::uint64_t>(left_, piece.size());
  co_return piece;
}

net::awaitable<Status> LimitedBody::earn() {
  const auto wanted = static_cast<std::size_t>(std::clamp<std::uint64_t>(left_, 1, link_.grant_bytes()));
  if (!link_.try_acquire(Traffic::bulk, wanted)) {
    POSTERN_CO_CHECK(co_await link_.acquire(Traffic::bulk, wanted));
  }
  credit_ = wanted;
  co_return Status{};
}

Result<std::size_t> LimitedBody::lend(std::size_t size_max, const TakeBytes& take) {
  if (!rest_.empty()) return std::size_t{0};
  const bool is_limited = !link_.is_unlimited();
  if (is_limited && credit_ == 0) return std::size_t{0};
  auto lent = body_->lend(is_limited ? std::min(size_max, credit_) : size_max, take);
  const std::size_t moved = lent.value_or(0);
  if (is_limited) {
    credit_ -= moved;
  } else {
    link_.charge(Traffic::bulk, moved);
  }
  left_ -= std::min<std::uint64_t>(left_, moved);
  return lent;
}

}  // namespace postern::gateway
