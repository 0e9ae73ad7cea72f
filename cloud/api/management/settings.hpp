// What user interfaces keep here: one object that all share, and one of each user (management-api 1.4).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/store/store.hpp"
#include "shared/base/random.hpp"

namespace postern::cloud::management {

class SettingsRoutes {
 public:
  SettingsRoutes(Store& store, Clock& clock, Random& random)
      : store_(store), clock_(clock), random_(random) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  /// An empty owner stands for everybody.
  Answer show(std::string owner);
  /// A change of what all share is audited; of a user's own preferences it is not.
  Answer replace(http::Request& request, const Session& session, std::string owner);

  Store& store_;
  Clock& clock_;
  Random& random_;
};

}  // namespace postern::cloud::management
