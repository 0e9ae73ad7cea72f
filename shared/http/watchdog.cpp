#include "shared/http/watchdog.hpp"

namespace postern::http {

namespace {
constexpr std::chrono::milliseconds kLookEvery{500};
}

Watchdog::Guard::Guard(Watchdog& watchdog, Stream& stream) : watchdog_(watchdog), stream_(&stream) {
  place_ = watchdog_.guards_.insert(watchdog_.guards_.end(), this);
}

Watchdog::Guard::~Guard() {
  watchdog_.guards_.erase(place_);
}

net::awaitable<void> Watchdog::run() {
  for (;;) {
    const auto slept = co_await clock_.sleep(kLookEvery);
    if (!slept) co_return;
    const SteadyTime now = clock_.now();
    // close() resumes nobody before this returns, so the list does not change under the loop.
    for (Guard* guard : guards_) {
      if (guard->deadline_ > now || guard->expired_) continue;
      guard->expired_ = true;
      guard->stream_->close();
    }
  }
}

}  // namespace postern::http
