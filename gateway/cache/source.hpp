// Getting an artifact's bytes from where the upstream says they are.
#pragma once

#include <functional>

#include "gateway/cache/catalog.hpp"
#include "gateway/metrics.hpp"
#include "gateway/traffic/limiter.hpp"
#include "gateway/upstream/upstream.hpp"

namespace postern::gateway {

/// Bytes on their way from the upstream; `total` is the size of the whole artifact.
struct SourceStream {
  std::unique_ptr<http::Body> body;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;
};

/// Asks the upstream for a fresh link to an artifact. Errors: not_found, when nobody is left in whose name to
/// ask; those of the upstream.
using RenewLink = std::function<net::awaitable<Status>(ArtifactKey key)>;

/// How urgent the bytes of a stream are; asked again and again while they come.
using TrafficOf = std::function<Traffic()>;
inline Traffic always_bulk() {
  return Traffic::bulk;
}

/// Thread-safe.
class Source {
 public:
  /// What comes in is slowed down to the rate of `uplink`.
  Source(Upstream& upstream, Catalog& catalog, Metrics& metrics, Limiter& uplink, RenewLink renew)
      : upstream_(upstream),
        catalog_(catalog),
        metrics_(metrics),
        uplink_(uplink),
        renew_(std::move(renew)) {}

  /// Opens an artifact from `first` on; `last` is inclusive, absent is the end. A link that the server no
  /// longer takes is renewed once. What comes has to be exactly what was asked for, with its length known.
  /// Errors: invalid (another range, no length), conflict (shorter than it was), forbidden (host), not_found,
  /// exhausted (the uplink is closed to artifacts now), transient and others.
  net::awaitable<Result<SourceStream>> open(ArtifactKey key, std::uint64_t first,
                                            std::optional<std::uint64_t> last,
                                            TrafficOf traffic = always_bulk);
  /// Whether the uplink is closed to artifacts now.
  bool is_closed() const { return uplink_.is_closed(); }

 private:
  net::awaitable<Result<http::Response>> get(const ArtifactKey& key, std::uint64_t first,
                                             std::optional<std::uint64_t> last);

  Upstream& upstream_;
  Catalog& catalog_;
  Metrics& metrics_;
  Limiter& uplink_;
  RenewLink renew_;
};

}  // namespace postern::gateway
