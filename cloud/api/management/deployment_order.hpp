// What an operator orders, out of a request's body (management-api 4.7).
#pragma once

#include <boost/json.hpp>

#include "cloud/deployments/plan.hpp"

namespace postern::cloud::management {

/// Room for a list of about 200,000 devices.
inline constexpr std::size_t kOrderBytesMax = 8 << 20;

/// The body of v1. Members that it does not know are taken and ignored, as the reference server does. Errors:
/// invalid.
Result<DeploymentOrder> decode_order(const boost::json::value& body);

/// The body of v2: phases, retries and max_devices count, and so does a member "postern", which Mender
/// ignores:
///   {"site": text, "filter": [terms], "start": time, "windows": ["Mon-Fri 22:00-05:00"], "concurrent": n,
///    "concurrent_per_site": n, "stuck_after_seconds": n,
///    "stop_on": {"failures": n, "percent": n, "last": n, "within_seconds": n, "sample_min": n}}
/// The devices are those of one of `devices`, `all_devices`, or postern's site and filter together. A phase
/// may have {"postern": {"devices": n, "paused": bool}}. Errors: invalid.
Result<DeploymentOrder> decode_planned_order(const boost::json::value& body);

}  // namespace postern::cloud::management
