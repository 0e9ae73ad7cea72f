// Devices as inventory shows them (management-api 3.1).
#pragma once

#include <boost/json/value.hpp>

#include "cloud/inventory/portrait.hpp"

namespace postern::cloud::management {

/// Attributes to show; nothing: all.
using Projection = std::optional<std::vector<std::pair<Scope, std::string>>>;

boost::json::object to_json(const Portrait& portrait, const Projection& projection = std::nullopt);

/// Those of the devices that are still there, in the same order.
net::awaitable<Result<std::vector<Portrait>>> read_portraits(Store& store, LastSeen& last_seen,
                                                             std::vector<std::uint32_t> devices);
net::awaitable<Result<boost::json::array>> read_devices(Store& store, LastSeen& last_seen,
                                                        std::vector<std::uint32_t> devices,
                                                        Projection projection = std::nullopt);

}  // namespace postern::cloud::management
