// Connections that go on as something else than HTTP (deviceconnect's WebSockets): bytes are copied both
// ways, and nobody here understands them.
#pragma once

#include <list>
#include <mutex>

#include "gateway/metrics.hpp"
#include "shared/base/log.hpp"
#include "shared/http/watchdog.hpp"

namespace postern::gateway {

struct TunnelOptions {
  std::size_t count_max = 4096;
  /// Without a byte in either direction. The peers of deviceconnect ping each other every 30 and 54 seconds
  /// (device-protocol 5.1), so this only ends what is dead.
  Duration idle_max = std::chrono::minutes(10);
  Duration write_max = std::chrono::seconds(60);  ///< for a peer to take one piece
};

/// Thread-safe; a tunnel lives on one executor.
class Tunnels {
 public:
  Tunnels(Metrics& metrics, Clock& clock, Log& log, TunnelOptions options);

  /// A place among the tunnels; given back when it goes.
  class Place {
   public:
    explicit Place(Tunnels& tunnels) : tunnels_(&tunnels) {}
    Place(Place&& other) noexcept : tunnels_(std::exchange(other.tunnels_, nullptr)) {}
    Place& operator=(Place&&) = delete;
    ~Place();

   private:
    Tunnels* tunnels_;
  };
  /// None when all places are taken, or when everything is about to end.
  std::optional<Place> enter();

  struct Ends {
    Stream& device;
    Bytes early_from_device;
    std::unique_ptr<Stream> upstream;
    std::vector<std::byte> early_from_upstream;
  };
  /// Copies until both sides have ended, one has failed, nothing has come for too long, or stop(). An end of
  /// one side is passed on, and the other may still finish what it has to say. `request` and `device` are for
  /// the log.
  net::awaitable<void> run(Place place, std::shared_ptr<http::Watchdog> watchdog, Ends ends,
                           std::string request, std::string device);

  /// Ends all tunnels, and lets no new ones in. Returns at once.
  void stop();
  std::size_t count() const;

 private:
  struct Tunnel;

  net::awaitable<Status> copy(Tunnel& tunnel, Stream& from, Stream& to, Bytes early, Counter& bytes);
  /// copy(), and then the end of both sides if that has failed.
  net::awaitable<Status> copy_or_end(Tunnel& tunnel, Stream& from, Stream& to, Bytes early, Counter& bytes);

  Metrics& metrics_;
  Clock& clock_;
  Log& log_;
  const TunnelOptions options_;
  mutable std::mutex mutex_;
  std::size_t count_ = 0;
  bool stopping_ = false;
  std::list<std::shared_ptr<Tunnel>> tunnels_;
};

}  // namespace postern::gateway
