// Where devices fetch artifacts: signed links, whole or from the middle (device-protocol 3, decision 3).
#pragma once

#include "cloud/blobs/blobs.hpp"
#include "cloud/gateways/registry.hpp"
#include "cloud/store/store.hpp"
#include "shared/device_api/link.hpp"
#include "shared/http/router.hpp"

namespace postern::cloud {

/// A first GET is answered with 200 and the length, or an error. A ranged GET is answered with 206 and the
/// exact range, or the connection is closed: a client that was cut off and gets anything else is stuck for
/// good. The end of every body is logged, "download.served", with what of it the connection took. A link
/// that a gateway was given belongs to no deployment; when it has expired the gateway asks for another.
class DownloadRoute {
 public:
  DownloadRoute(Store& store, BlobDirectory& blobs, const LinkSigner& links, GatewayRegistry& gateways,
                Pool& pool, Clock& clock, Log& log)
      : store_(store),
        blobs_(blobs),
        links_(links),
        gateways_(gateways),
        pool_(pool),
        clock_(clock),
        log_(log) {}
  void add_routes(http::Router& router);

 private:
  struct Item {
    Artifact artifact;
    bool is_open = false;  ///< there is a deployment, and it is not finished
  };
  net::awaitable<http::Response> serve(http::Request& request, std::string deployment);
  net::awaitable<Result<http::Response>> answer(http::Request& request, std::string deployment);
  net::awaitable<Result<Item>> find(std::string artifact_id, std::string deployment_id);

  Store& store_;
  BlobDirectory& blobs_;
  const LinkSigner& links_;
  GatewayRegistry& gateways_;
  Pool& pool_;
  Clock& clock_;
  Log& log_;
};

}  // namespace postern::cloud
