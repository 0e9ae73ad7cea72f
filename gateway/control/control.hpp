// The control socket and what hangs on it: commands of an operator's, and prefetches.
#pragma once

#include "gateway/control/routes.hpp"
#include "gateway/upstream/lookup.hpp"
#include "shared/http/server.hpp"
#include "shared/transport/unix.hpp"

namespace postern::gateway {

/// What it stands on. All of it outlives the Control.
struct ControlContext {
  Keeper& keeper;
  ArtifactLookup& lookup;
  Database& state;
  Clock& clock;
  Random& random;
  Log& log;
  net::any_io_executor executor;  ///< everything runs here
};

class Control {
 public:
  Control(const ControlContext& context, std::string socket, ControlRoutes::GetStatus status);

  /// Reads the prefetches. Errors: corrupt.
  Status load() { return prefetches_.load(); }
  /// Starts to work, and to listen. Errors: those of UnixNetwork::listen; prefetches go on all the same.
  Status start();
  /// Runs on: the executor.
  net::awaitable<Status> stop();

  const Prefetches& prefetches() const { return prefetches_; }

 private:
  Prefetches prefetches_;
  ControlRoutes routes_;
  http::Router router_;
  UnixNetwork network_;
  http::Server server_;
};

}  // namespace postern::gateway
