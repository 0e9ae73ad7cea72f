// Artifacts' routes (management-api 4.1 to 4.4).
#pragma once

#include <boost/json/object.hpp>

#include "cloud/api/management/gate.hpp"
#include "cloud/releases/intake.hpp"

namespace postern::cloud::management {

/// The artifact object (management-api 4.1). Errors: corrupt.
Result<boost::json::object> to_json(const Artifact& artifact);

class Artifacts {
 public:
  Artifacts(Store& store, ArtifactIntake& intake) : store_(store), intake_(intake) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  Answer upload(http::Request& request);
  Answer list(http::Request& request);
  Answer list_page(http::Request& request);
  Answer show(http::Request& request);
  Answer erase(http::Request& request);

  Store& store_;
  ArtifactIntake& intake_;
};

}  // namespace postern::cloud::management
