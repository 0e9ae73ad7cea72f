// Who is at the other end: recognizes gateways by their certificates, and keeps their records up to date.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "cloud/gateways/trust.hpp"
#include "cloud/store/store.hpp"
#include "shared/base/log.hpp"
#include "shared/base/random.hpp"
#include "shared/device_api/plane.hpp"

namespace postern::cloud {

/// A gateway's record is made when it first comes, and written again when its certificate or version changes.
/// When it was last seen is kept here, and stored once a minute and by flush(). Thread-safe.
class GatewayRegistry {
 public:
  /// Without `trust` nobody is a gateway.
  GatewayRegistry(Store& store, Clock& clock, Random& random, Log& log,
                  std::shared_ptr<const GatewayTrust> trust)
      : store_(store), clock_(clock), random_(random), log_(log), trust_(std::move(trust)) {}

  /// Where a request came from: through a gateway, which counts as seen now, or directly. Errors:
  /// unauthorized once the gateway's certificate has expired; those of the store.
  net::awaitable<Result<Place>> place_of(Arrival arrival);

  /// Later than the record's when it was not stored yet.
  WallTime last_seen(const Gateway& gateway) const;
  /// Stores when each gateway was last seen.
  net::awaitable<Status> flush();

  static constexpr std::chrono::minutes kFlushInterval{1};

 private:
  /// What a certificate turned out to be.
  struct Known {
    Place place;          ///< direct: not the certificate of a gateway
    std::string version;  ///< as it was stored
  };
  struct Sighting {
    WallTime seen;
    WallTime stored;
  };

  std::optional<Known> find(const Digest& fingerprint) const;
  void remember(const Digest& fingerprint, Known known);
  /// Notes that a gateway is seen. True: it is time to store that, which falls to the caller.
  bool note(std::uint32_t gateway, WallTime now);
  net::awaitable<Result<Gateway>> learn(const Certificate& certificate, std::string version, WallTime now);
  net::awaitable<Status> store_sighting(std::uint32_t gateway, WallTime seen);

  Store& store_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  const std::shared_ptr<const GatewayTrust> trust_;
  mutable std::mutex mutex_;
  std::map<Digest, Known> known_;  ///< by fingerprint
  std::map<std::uint32_t, Sighting> sightings_;
};

}  // namespace postern::cloud
