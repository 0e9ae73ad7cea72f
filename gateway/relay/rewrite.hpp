// The two bodies that a gateway changes: the instruction on its way down, and the inventory on its way up.
#pragma once

#include <functional>

#include <boost/json/value.hpp>

#include "gateway/config.hpp"
#include "shared/http/url.hpp"

namespace postern::gateway {

/// What an instruction says about its artifact (device-protocol 2.2).
struct InstructionLink {
  std::string deployment_id;
  std::string artifact_id;
  std::string artifact_name;
  std::string uri;
};

/// Errors: invalid, when it is no instruction.
Result<InstructionLink> read_instruction(const boost::json::value& instruction);

/// Puts another link in the place of the instruction's own; everything else stays.
void set_link(boost::json::value& instruction, const std::string& uri, const std::string& expires);

/// Whether the link leads to the configuration of one device: made for each request, and never worth keeping.
bool is_configuration_link(const http::Url& url);

/// Adds attributes that the device has not sent itself (device-protocol 8.5). Errors: invalid, when the body
/// is no array of attributes.
Result<std::string> add_attributes(std::string_view inventory, std::span<const AttributeConfig> attributes);

/// Cuts a deployment log to `size_max` bytes by leaving out its oldest messages. Errors: invalid.
Result<std::string> cut_log(std::string_view log, std::size_t size_max);

}  // namespace postern::gateway
