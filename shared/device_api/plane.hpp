// The device plane: what somebody has to do who answers devices. `DeviceApi` speaks the protocol and calls
// this; the cloud implements it over its store, a gateway over leases and journal.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>

#include "shared/base/clock.hpp"
#include "shared/device_api/identity.hpp"
#include "shared/rollout/select.hpp"

namespace postern {

class Certificate;

/// How a request came.
struct Arrival {
  /// What the connection's client has proved to own; null: nothing. Lives as long as the request.
  const Certificate* certificate = nullptr;
  std::string user_agent;
};

/// An auth request whose signature was good (device-protocol 1.1, 1.4).
struct AuthRequest {
  Identity identity;
  std::string public_key_pem;  ///< in canonical form
  std::string tier;            ///< "standard" when the device says none
};

/// A device whose token was good.
struct Caller {
  std::string device_id;
  std::uint32_t ordinal = 0;  ///< the answering store's own number for the device
};

/// What a device is told to install (device-protocol 2.2).
struct Instruction {
  std::string deployment_id;
  std::string artifact_id;
  std::string artifact_name;
  std::vector<std::string> device_types;
  std::string uri;
  WallTime expires;
};

/// One entry of a deployment log (device-protocol 2.6).
struct LogEntry {
  std::optional<WallTime> time;  ///< microcontroller clients cannot always tell
  std::string level;
  std::string message;
};

/// An attribute that the device reports about itself (device-protocol 4.1).
struct InventoryAttribute {
  std::string name;
  boost::json::value value;  ///< string, number, or array of only strings or only numbers
  std::string description;
};

enum class InventoryMode {
  replace,  ///< PUT
  merge,    ///< PATCH
};

/// Everything that comes back as success is durable. Errors that a device can see: unauthorized, not_found,
/// conflict, invalid; all others are failures of ours. Thread-safe.
class DevicePlane {
 public:
  virtual ~DevicePlane() = default;

  /// Returns the token. Errors: unauthorized while no auth set of this identity and key is accepted; the set
  /// then exists and can be accepted.
  virtual net::awaitable<Result<std::string>> authenticate(AuthRequest request, Arrival arrival) = 0;
  /// Who holds this token. Errors: unauthorized.
  virtual net::awaitable<Result<Caller>> identify(std::string token, Arrival arrival) = 0;
  /// Errors: conflict (the device's report differs from the one the running deployment began with).
  virtual net::awaitable<Result<std::optional<Instruction>>> next_deployment(Caller caller,
                                                                             rollout::Device device) = 0;
  /// Errors: not_found (no such deployment of this device), conflict (aborted, decommissioned).
  virtual net::awaitable<Status> report_status(Caller caller, std::string deployment_id,
                                               rollout::DeviceStatus status, std::string substate) = 0;
  /// Errors: not_found.
  virtual net::awaitable<Status> store_log(Caller caller, std::string deployment_id,
                                           std::vector<LogEntry> entries) = 0;
  /// Errors: invalid (too many attributes).
  virtual net::awaitable<Status> take_inventory(Caller caller, std::vector<InventoryAttribute> attributes,
                                                InventoryMode mode) = 0;
};

}  // namespace postern
