// The device protocol's bodies: decoding with every check of the spec, and encoding.
#pragma once

#include <string_view>

#include <boost/json/value.hpp>

#include "shared/device_api/plane.hpp"

namespace postern::device_api {

/// Checks and decodes an auth request. `signature` is the field X-MEN-Signature; it covers `body` as
/// received. Errors: invalid with the texts of device-protocol 1.3; unauthorized when the signature is wrong.
Result<AuthRequest> decode_auth_request(std::string_view body, std::optional<std::string_view> signature);

/// The body of a poll: v2 with `device_provides`, or v1 with the members at top level (device-protocol 2.1).
/// Errors: invalid.
Result<rollout::Device> decode_poll_v2(const boost::json::value& body);
Result<rollout::Device> decode_poll_v1(const boost::json::value& body);
/// The query of the v1 GET. Errors: invalid.
Result<rollout::Device> decode_poll_query(std::string_view query);

struct StatusReport {
  rollout::DeviceStatus status;
  std::string substate;
};
/// Errors: invalid (a status that no device may report, a substate beyond 200 characters).
Result<StatusReport> decode_status(const boost::json::value& body);

/// Lenient where a microcontroller's log would be lost otherwise: null times and levels are taken
/// (device-protocol 2.6). Errors: invalid.
Result<std::vector<LogEntry>> decode_log(const boost::json::value& body);

/// Errors: invalid (names, and the types of management-api 3.1).
Result<std::vector<InventoryAttribute>> decode_inventory(const boost::json::value& body);

/// `method` stands beside a link that is fetched with it.
boost::json::value encode_instruction(const Instruction& instruction);

}  // namespace postern::device_api
