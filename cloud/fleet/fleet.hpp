// A fleet that nobody had to authenticate: devices, their inventories and their tokens, written into a
// cloud's store.
#pragma once

#include <functional>
#include <ostream>

#include "cloud/auth/tokens.hpp"
#include "cloud/store/store.hpp"
#include "shared/base/random.hpp"

namespace postern::bench {

struct FleetOptions {
  std::uint32_t devices = 0;
  std::uint32_t tokens = 0;  ///< of so many devices, spread over the fleet
  std::uint32_t sites = 50;  ///< that the devices say they are at
};

/// Adds accepted devices with live tokens and 20 attributes each, and writes lines of DEVICE TOKEN to
/// `tokens`. `told` hears how many are done.
net::awaitable<Status> fill(cloud::Store& store, const cloud::DeviceTokens& issuer,
                            const FleetOptions& options, Random& random, WallTime now, std::ostream& tokens,
                            const std::function<void(std::uint32_t done)>& told);

}  // namespace postern::bench
