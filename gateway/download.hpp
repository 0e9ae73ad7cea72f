// Serves artifacts by the links that this gateway has signed.
#pragma once

#include "gateway/admission/gatekeeper.hpp"
#include "gateway/cache/cache.hpp"
#include "gateway/relay/links.hpp"
#include "gateway/traffic/admission.hpp"
#include "gateway/traffic/limiter.hpp"
#include "shared/http/router.hpp"

namespace postern::gateway {

/// GET of a link that Links has made (decisions 3 and 6): the link's life governs a first GET only; a ranged
/// GET is answered 206, or the connection is closed. Bodies leave at the pace of `site`. Thread-safe.
class DownloadRoute {
 public:
  /// Without a gatekeeper the log does not know which device it was.
  DownloadRoute(Cache& cache, const LinkSigner& signer, const Gatekeeper* gatekeeper, Limiter& site,
                Admission& admission, Metrics& metrics, Clock& clock, Log& log)
      : cache_(cache),
        signer_(signer),
        gatekeeper_(gatekeeper),
        site_(site),
        admission_(admission),
        metrics_(metrics),
        clock_(clock),
        log_(log) {}

  void add_routes(http::Router& router);

 private:
  net::awaitable<http::Response> serve(http::Request& request);
  net::awaitable<Result<http::Response>> answer(http::Request& request);
  std::string device_of(const http::Request& request) const;

  Cache& cache_;
  const LinkSigner& signer_;
  const Gatekeeper* gatekeeper_;
  Limiter& site_;
  Admission& admission_;
  Metrics& metrics_;
  Clock& clock_;
  Log& log_;
};

}  // namespace postern::gateway
