// The device plane of the cloud: devices that talk to it directly, or through a gateway that hands their
// requests on.
#pragma once

#include <memory>

#include "cloud/auth/tokens.hpp"
#include "cloud/deployments/polls.hpp"
#include "cloud/gateways/registry.hpp"
#include "cloud/store/store.hpp"
#include "shared/base/log.hpp"
#include "shared/base/random.hpp"
#include "shared/device_api/link.hpp"
#include "shared/device_api/plane.hpp"

namespace postern::cloud {

/// Thread-safe.
class CloudPlane final : public DevicePlane {
 public:
  struct Options {
    std::string public_url;  ///< what links begin with: scheme, host and port
    std::chrono::seconds link_lifetime = std::chrono::hours(24);  // device-protocol 2.4
  };

  CloudPlane(Store& store, LastSeen& last_seen, GatewayRegistry& gateways, DeviceTokens& tokens,
             const LinkSigner& links, Clock& clock, Random& random, Log& log, Options options);

  /// A link of this server's to `path`, signed now.
  struct SignedLink {
    std::string uri;
    WallTime expires;
  };
  SignedLink sign(std::string_view path) const { return sign(path, options_.link_lifetime); }
  SignedLink sign(std::string_view path, std::chrono::seconds lifetime) const;

  /// What devices said last.
  const Polls& polls() const { return polls_; }

  /// For a server that knows its address only once it listens. Call it before the first request comes.
  void set_public_url(std::string url) { options_.public_url = std::move(url); }

  net::awaitable<Result<std::string>> authenticate(AuthRequest request, Arrival arrival) override;
  net::awaitable<Result<Caller>> identify(std::string token, Arrival arrival) override;
  net::awaitable<Result<std::optional<Instruction>>> next_deployment(Caller caller,
                                                                     rollout::Device device) override;
  net::awaitable<Status> report_status(Caller caller, std::string deployment_id, rollout::DeviceStatus status,
                                       std::string substate) override;
  net::awaitable<Status> store_log(Caller caller, std::string deployment_id,
                                   std::vector<LogEntry> entries) override;
  net::awaitable<Status> take_inventory(Caller caller, std::vector<InventoryAttribute> attributes,
                                        InventoryMode mode) override;

 private:
  void log_move(std::string_view device_id, const Place& from, const Place& to);
  Instruction to_instruction(const std::string& deployment_id, const Artifact& artifact) const;

  Store& store_;
  LastSeen& last_seen_;
  GatewayRegistry& gateways_;
  DeviceTokens& tokens_;
  const LinkSigner& links_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  Options options_;
  Polls polls_;
};

/// Where a device fetches an artifact of a deployment; signed, see LinkSigner. Ends in the artifact's id.
inline constexpr std::string_view kDownloadRoute =
    "/api/devices/v1/deployments/download/artifact/{deployment}/{artifact}";
std::string download_path(std::string_view deployment_id, std::string_view artifact_id);
/// Where a gateway fetches an artifact that no device asks it for; signed as well.
inline constexpr std::string_view kGatewayDownloadRoute =
    "/api/devices/v1/deployments/download/artifact/{artifact}";
std::string download_path(std::string_view artifact_id);

}  // namespace postern::cloud
