#include "gateway/relay/tunnels.hpp"

#include <boost/asio/post.hpp>

#include "shared/async/within.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kBufferBytes = 16 << 10;
/// How long one side may go on alone, when the other has nothing more to say.
constexpr Duration kHalfClosedMax = std::chrono::seconds(60);
constexpr Duration kNoDeadline = std::chrono::hours(24 * 365);

}  // namespace

/// Runs on: its connection's executor.
struct Tunnels::Tunnel {
  Tunnel(http::Watchdog& by, Stream& to_device, Stream& to_upstream, Duration limit)
      : watchdog(by),
        executor(to_device.executor()),
        device(&to_device),
        upstream(&to_upstream),
        idle(std::in_place, by, to_upstream),
        idle_max(limit) {}

  void end() {
    if (device == nullptr) return;
    device->close();
    upstream->close();
  }
  void moved() { idle->expires_in(idle_max); }

  http::Watchdog& watchdog;
  net::any_io_executor executor;
  Stream* device;  ///< null once it has ended
  Stream* upstream;
  std::optional<http::Watchdog::Guard> idle;
  Duration idle_max;
};

Tunnels::Tunnels(Metrics& metrics, Clock& clock, Log& log, TunnelOptions options)
    : metrics_(metrics), clock_(clock), log_(log), options_(std::move(options)) {
  metrics_.collect([this](Scrape& scrape) {
    scrape.gauge("postern_gateway_tunnels", "WebSockets of devices that are open now.", count());
  });
}

Tunnels::Place::~Place() {
  if (tunnels_ == nullptr) return;
  const std::lock_guard lock(tunnels_->mutex_);
  --tunnels_->count_;
}

std::optional<Tunnels::Place> Tunnels::enter() {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && count_ < options_.count_max) {
      ++count_;
      return Place(*this);
    }
  }
  ++metrics_.tunnels_refused;
  return std::nullopt;
}

net::awaitable<Status> Tunnels::copy(Tunnel& tunnel, Stream& from, Stream& to, Bytes early, Counter& bytes) {
  http::Watchdog::Guard writing(tunnel.watchdog, to);
  std::vector<std::byte> buffer(kBufferBytes);
  Bytes piece = early;
  for (;;) {
    if (!piece.empty()) {
      tunnel.moved();
      bytes += piece.size();
      writing.expires_in(options_.write_max);
      POSTERN_CO_CHECK(co_await to.write_bytes(piece));
      writing.expires_in(kNoDeadline);
    }
    if (co_await was_cancelled()) co_return cancelled("copy a tunnel");
    POSTERN_CO_TRY(const std::size_t count, co_await from.read_some(buffer));
    if (count == 0) break;
    piece = Bytes(buffer).first(count);
  }
  tunnel.idle_max = std::min(tunnel.idle_max, kHalfClosedMax);
  tunnel.moved();
  co_return co_await to.shutdown();
}

net::awaitable<Status> Tunnels::copy_or_end(Tunnel& tunnel, Stream& from, Stream& to, Bytes early,
                                            Counter& bytes) {
  auto copied = co_await copy(tunnel, from, to, early, bytes);
  if (!copied) tunnel.end();
  co_return copied;
}

net::awaitable<void> Tunnels::run(Place place, std::shared_ptr<http::Watchdog> watchdog, Ends ends,
                                  std::string request, std::string device) {
  using namespace net::experimental::awaitable_operators;  // NOLINT: the operators are what is wanted
  const SteadyTime begun = clock_.now();
  const auto tunnel = std::make_shared<Tunnel>(*watchdog, ends.device, *ends.upstream, options_.idle_max);
  std::list<std::shared_ptr<Tunnel>>::iterator listed;
  {
    const std::lock_guard lock(mutex_);
    listed = tunnels_.insert(tunnels_.end(), tunnel);
    if (stopping_) tunnel->end();
  }
  ++metrics_.tunnels_opened;
  tunnel->moved();
  log_.info("tunnel.opened", {{"request", request}, {"device", device}});
  auto [up, down] =
      co_await (detail::without_throwing(copy_or_end(*tunnel, ends.device, *ends.upstream,
                                                     ends.early_from_device, metrics_.tunnel_up_bytes)) &&
                detail::without_throwing(copy_or_end(*tunnel, *ends.upstream, ends.device,
                                                     ends.early_from_upstream, metrics_.tunnel_down_bytes)));
  const bool was_idle = tunnel->idle->expired();
  tunnel->idle.reset();
  ends.upstream->close();
  tunnel->device = nullptr;
  {
    const std::lock_guard lock(mutex_);
    tunnels_.erase(listed);
  }
  const Status& told = !up ? up : down;
  log_.info("tunnel.ended",
            {{"request", request},
             {"device", device},
             {"took_s", std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - begun).count()},
             {"why", was_idle ? "idle for too long"
                     : told   ? "both sides have ended"
                              : told.error().what}});
}

void Tunnels::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& tunnel : tunnels_) {
    net::post(tunnel->executor, [tunnel] { tunnel->end(); });
  }
}

std::size_t Tunnels::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace postern::gateway
