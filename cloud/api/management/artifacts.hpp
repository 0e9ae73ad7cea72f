// Artifacts' routes (management-api 4.1 to 4.5, 4.10).
#pragma once

#include <boost/json/object.hpp>

#include "cloud/api/management/gate.hpp"
#include "cloud/plane.hpp"
#include "cloud/releases/intake.hpp"
#include "cloud/releases/removal.hpp"

namespace postern::cloud::management {

/// The artifact object (management-api 4.1). Errors: corrupt.
Result<boost::json::object> to_json(const Artifact& artifact);

/// What the routes work with. All of it outlives them.
struct ArtifactServices {
  Store& store;
  BlobDirectory& blobs;
  ArtifactIntake& intake;
  ArtifactRemoval& removal;
  const CloudPlane& plane;
  Pool& pool;
  Clock& clock;
};

class Artifacts {
 public:
  /// `storage_bytes_max`: of all artifacts together; 0: no limit.
  Artifacts(ArtifactServices services, std::uint64_t storage_bytes_max)
      : services_(services), store_(services.store), storage_bytes_max_(storage_bytes_max) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  Answer upload(http::Request& request, const Session& session);
  Answer list(http::Request& request);
  Answer list_page(http::Request& request);
  Answer list_v2(http::Request& request);
  Answer show(http::Request& request);
  Answer edit(http::Request& request, const Session& session);
  Answer erase(http::Request& request, const Session& session);
  Answer link(http::Request& request);
  Answer direct_upload(http::Request& request);
  Answer limit(http::Request& request);

  ArtifactServices services_;
  Store& store_;
  std::uint64_t storage_bytes_max_;
};

}  // namespace postern::cloud::management
