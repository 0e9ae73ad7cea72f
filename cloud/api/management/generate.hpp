// Making an artifact of a file (management-api 4.6).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/releases/generator.hpp"

namespace postern::cloud::management {

class Generate {
 public:
  explicit Generate(ArtifactGenerator& generator) : generator_(generator) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  net::awaitable<Result<http::Response>> generate(http::Request& request, const Session& session);

  ArtifactGenerator& generator_;
};

}  // namespace postern::cloud::management
