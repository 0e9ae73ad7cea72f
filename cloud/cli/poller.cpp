#include "cloud/cli/poller.hpp"

#include "shared/async/within.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

/// How long a server may be away.
constexpr Duration kOutageMax = std::chrono::minutes(2);
/// Beyond any wait that is meant, and far from where a point in time overflows.
constexpr Duration kTimeoutMax = std::chrono::years(10);

bool may_pass(const Error& error) {
  return error.kind == Kind::transient || error.kind == Kind::exhausted;
}

}  // namespace

Poller::Poller(Context& context, Duration timeout)
    : context_(context), end_(context.clock.now() + std::min(timeout, kTimeoutMax)) {}

net::awaitable<Result<std::optional<json::value>>> Poller::get(std::string path) {
  // The last request, which begins when the time is up, gets a moment too.
  const Duration limit = std::max(end_ - context_.clock.now(), context_.poll_interval);
  auto answer = co_await within(context_.clock, limit, context_.api.get(std::move(path)));
  if (answer) {
    has_answered_ = true;
    away_since_.reset();
    co_return std::optional(*std::move(answer));
  }
  if (!may_pass(answer.error())) co_return std::move(answer).error();
  const SteadyTime now = context_.clock.now();
  if (!away_since_) away_since_ = now;
  const bool is_gone = !has_answered_ || now - *away_since_ >= kOutageMax;
  if (is_gone && now < end_) co_return std::move(answer).error();
  co_return std::nullopt;
}

net::awaitable<Result<bool>> Poller::pause() {
  const SteadyTime now = context_.clock.now();
  if (now >= end_) co_return false;
  POSTERN_CO_CHECK(co_await context_.clock.sleep(std::min(context_.poll_interval, end_ - now)));
  co_return true;
}

}  // namespace postern::cli
