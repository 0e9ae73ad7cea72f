// How the gateway is, for who operates it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "gateway/cache/keeper.hpp"
#include "gateway/control/prefetches.hpp"
#include "gateway/control/recent_log.hpp"
#include "gateway/readiness.hpp"

namespace postern::gateway {

struct GatewayStatus {
  struct Listener {
    std::string name;
    std::string address;
    std::size_t connections = 0;
  };
  struct UpstreamServer {
    std::string url;
    std::optional<bool> is_up;  ///< nothing: nobody has asked it yet
    std::optional<WallTime> since;
  };
  struct DatedCertificate {
    std::string which;  ///< server, upstream, device_ca
    std::string subject;
    WallTime expires;
  };
  struct Traffic {
    std::uint64_t uplink_artifact_bytes = 0;
    std::uint64_t site_artifact_bytes = 0;
  };

  std::string version;
  std::int64_t pid = 0;
  WallTime started;
  Duration uptime{};  ///< whatever was done to the wall clock since
  WallTime now;
  std::vector<Readiness::Finding> findings;
  std::vector<Listener> listeners;
  std::vector<UpstreamServer> upstreams;
  std::vector<DatedCertificate> certificates;
  std::size_t devices_bound = 0;
  bool caches = false;
  std::uint64_t cache_used_bytes = 0;
  std::uint64_t cache_bytes_max = 0;
  std::vector<KeptArtifact> artifacts;
  std::vector<Prefetch> prefetches;
  Traffic traffic;
  std::vector<RecentLog::Line> recent;
};

boost::json::object to_json(const GatewayStatus& status);
boost::json::object to_json(const KeptArtifact& artifact);
boost::json::object to_json(const VerifyReport& report);
/// `kept` are those of its artifacts that something is known of.
boost::json::object to_json(const Prefetch& prefetch, const std::vector<KeptArtifact>& kept);

}  // namespace postern::gateway
