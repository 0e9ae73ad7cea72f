// What goes beyond the open source server: planned deployments, the answer to why, and a device's history
// (management-api 4.7, 4.8).
#pragma once

#include "cloud/api/management/gate.hpp"
#include "cloud/deployments/polls.hpp"
#include "shared/base/random.hpp"

namespace postern::cloud::management {

class Rollouts {
 public:
  struct Options {
    /// How long a device may be in one status of an update before it is stuck.
    std::chrono::seconds stuck_after = std::chrono::hours(24);
  };

  Rollouts(Store& store, const Polls& polls, Clock& clock, Options options)
      : store_(store), polls_(polls), clock_(clock), options_(options) {}
  void add_routes(http::Router& router, Gate& gate);

 private:
  using Answer = net::awaitable<Result<http::Response>>;
  Answer statistics(http::Request& request);
  Answer why(http::Request& request);
  Answer stuck(http::Request& request);
  Answer history(http::Request& request);
  Answer abort_device(http::Request& request, const Session& session);
  Answer hide_history(http::Request& request, const Session& session);

  Store& store_;
  const Polls& polls_;
  Clock& clock_;
  const Options options_;
};

}  // namespace postern::cloud::management
