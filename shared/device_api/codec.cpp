#include "shared/device_api/codec.hpp"

#include <boost/json.hpp>

#include "shared/crypto/keys.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/url.hpp"

namespace postern::device_api {
namespace {

namespace json = boost::json;
using http::string_member;

constexpr std::size_t kProvideCharactersMax = 4096;
constexpr std::size_t kProvidesMax = 1024;
constexpr std::size_t kSubstateCharactersMax = 200;
constexpr std::size_t kAttributeNameCharactersMax = 1024;

std::string_view text_of(const json::string& text) {
  return {text.data(), text.size()};
}

Result<const json::object*> as_object(const json::value& body) {
  if (const json::object* object = body.if_object()) return object;
  return invalid("failed to decode request body: not a JSON object");
}

Status check_length(std::string_view name, std::string_view value) {
  if (value.empty()) return invalid(fmt::format("{}: cannot be blank.", name));
  if (value.size() > kProvideCharactersMax) {
    return invalid(fmt::format("{}: the length must be between 1 and {}.", name, kProvideCharactersMax));
  }
  return {};
}

/// Sorts one reported member into the device; everything but the two names every device has is a provide.
Status add_provide(rollout::Device& device, std::string_view name, const json::value& value) {
  if (!value.is_string()) return invalid(fmt::format("{}: must be a string", name));
  const std::string_view text = text_of(value.get_string());
  if (text.size() > kProvideCharactersMax || name.size() > kProvideCharactersMax) {
    return invalid(fmt::format("{}: longer than {} characters", name.substr(0, 64), kProvideCharactersMax));
  }
  if (name == "device_type") {
    device.device_type = text;
  } else if (name == "artifact_name") {
    device.artifact_name = text;
  } else {
    device.provides.emplace(name, text);
  }
  return {};
}

Result<rollout::Device> checked(rollout::Device device) {
  POSTERN_CHECK(check_length("device_type", device.device_type));
  POSTERN_CHECK(check_length("artifact_name", device.artifact_name));
  return device;
}

Result<rollout::Device> decode_provides(const json::object& provides) {
  if (provides.size() > kProvidesMax) return invalid("too many provides");
  rollout::Device device;
  for (const auto& [name, value] : provides) {
    POSTERN_CHECK(add_provide(device, {name.data(), name.size()}, value));
  }
  return checked(std::move(device));
}

}  // namespace

Result<AuthRequest> decode_auth_request(std::string_view body, std::optional<std::string_view> signature) {
  auto parsed = http::parse_json(body);
  if (!parsed) return std::move(parsed).error().within("failed to decode auth request");
  const json::object* request = parsed->if_object();
  if (request == nullptr) return invalid("failed to decode auth request: not a JSON object");
  const auto member = [&](std::string_view name) -> Result<std::string> {
    auto text = string_member(*request, name);
    if (!text) return std::move(text).error().within("failed to decode auth request");
    return text;
  };
  POSTERN_TRY(const std::string id_data, member("id_data"));
  POSTERN_TRY(const std::string pem, member("pubkey"));
  POSTERN_TRY(std::string tier, member("tier"));
  POSTERN_TRY(const std::string tenant_token, member("tenant_token"));
  if (id_data.empty()) return invalid("invalid auth request: id_data must be provided");
  if (pem.empty()) return invalid("invalid auth request: pubkey must be provided");
  auto key = PublicKey::from_pem(pem);
  if (!key) return std::move(key).error().within("invalid auth request");
  auto identity = parse_identity(id_data);
  if (!identity) return invalid("invalid auth request: " + identity.error().what);
  if (!signature) return invalid("missing request signature header");
  const auto raw = from_base64(*signature);
  if (!raw || !key->verify(as_bytes(body), *raw)) return unauthorized("signature verification failed");
  if (tier.empty()) tier = "standard";
  if (tier != "standard" && tier != "micro" && tier != "system")
    return invalid("invalid auth request: unknown tier");
  return AuthRequest{*std::move(identity), key->to_pem(), std::move(tier)};
}

Result<rollout::Device> decode_poll_v2(const json::value& body) {
  POSTERN_TRY(const json::object* object, as_object(body));
  const json::value* provides = object->if_contains("device_provides");
  if (provides == nullptr || !provides->is_object()) return invalid("device_provides: cannot be blank.");
  return decode_provides(provides->get_object());
}

Result<rollout::Device> decode_poll_v1(const json::value& body) {
  POSTERN_TRY(const json::object* object, as_object(body));
  // One client nests the provides, another spreads them over the top level (device-protocol 2.1).
  rollout::Device device;
  for (const auto& [name, value] : *object) {
    if (value.is_string()) POSTERN_CHECK(add_provide(device, {name.data(), name.size()}, value));
  }
  if (const json::value* nested = object->if_contains("artifact_provides");
      nested != nullptr && nested->is_object()) {
    for (const auto& [name, value] : nested->get_object()) {
      POSTERN_CHECK(add_provide(device, {name.data(), name.size()}, value));
    }
  }
  if (device.provides.size() > kProvidesMax) return invalid("too many provides");
  return checked(std::move(device));
}

Result<rollout::Device> decode_poll_query(std::string_view query) {
  POSTERN_TRY(const auto parameters, http::parse_query(query));
  rollout::Device device;
  device.device_type = http::find_parameter(parameters, "device_type").value_or("");
  device.artifact_name = http::find_parameter(parameters, "artifact_name").value_or("");
  return checked(std::move(device));
}

Result<StatusReport> decode_status(const json::value& body) {
  POSTERN_TRY(const json::object* object, as_object(body));
  POSTERN_TRY(const std::string word, string_member(*object, "status"));
  POSTERN_TRY(std::string substate, string_member(*object, "substate"));
  const auto status = rollout::parse_device_status(word);
  if (!status || !rollout::is_reportable(*status)) return invalid("status: must be a valid value.");
  if (substate.size() > kSubstateCharactersMax) {
    return invalid(fmt::format("substate: the length must be no more than {}.", kSubstateCharactersMax));
  }
  return StatusReport{*status, std::move(substate)};
}

Result<std::vector<LogEntry>> decode_log(const json::value& body) {
  POSTERN_TRY(const json::object* object, as_object(body));
  const json::value* messages = object->if_contains("messages");
  if (messages == nullptr || !messages->is_array() || messages->get_array().empty()) {
    return invalid("messages: cannot be blank.");
  }
  std::vector<LogEntry> entries;
  entries.reserve(messages->get_array().size());
  for (const json::value& message : messages->get_array()) {
    const json::object* fields = message.if_object();
    if (fields == nullptr) return invalid("messages: an entry is not an object");
    LogEntry entry;
    POSTERN_TRY(const std::string time, string_member(*fields, "timestamp"));
    POSTERN_TRY(entry.level, string_member(*fields, "level"));
    POSTERN_TRY(entry.message, string_member(*fields, "message"));
    if (entry.message.empty()) return invalid("messages: message: cannot be blank.");
    if (!time.empty()) {
      POSTERN_TRY(entry.time, from_rfc3339(time));
    } else if (!fields->contains("timestamp")) {
      return invalid("messages: timestamp: cannot be blank.");
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

namespace {

bool is_number(const json::value& value) {
  return value.is_number();
}

bool is_supported(const json::value& value) {
  if (value.is_string() || is_number(value)) return true;
  const json::array* array = value.if_array();
  if (array == nullptr) return false;
  return std::ranges::all_of(*array, [](const json::value& v) { return v.is_string(); }) ||
         std::ranges::all_of(*array, is_number);
}

Result<InventoryAttribute> decode_attribute(const json::value& item) {
  const json::object* fields = item.if_object();
  if (fields == nullptr) return invalid("failed to decode request body: an attribute is not an object");
  InventoryAttribute attribute;
  POSTERN_TRY(attribute.name, string_member(*fields, "name"));
  POSTERN_TRY(attribute.description, string_member(*fields, "description"));
  if (attribute.name.empty() || attribute.name.size() > kAttributeNameCharactersMax) {
    return invalid(fmt::format("name: the length must be between 1 and {}.", kAttributeNameCharactersMax));
  }
  const json::value* value = fields->if_contains("value");
  if (value == nullptr || !is_supported(*value)) {
    return invalid(
        fmt::format("{}: supported types are string, float64, and arrays thereof", attribute.name));
  }
  attribute.value = *value;
  return attribute;
}

}  // namespace

Result<std::vector<InventoryAttribute>> decode_inventory(const json::value& body) {
  const json::array* items = body.if_array();
  if (items == nullptr) return invalid("failed to decode request body: not an array");
  std::vector<InventoryAttribute> attributes;
  for (const json::value& item : *items) {
    POSTERN_TRY(InventoryAttribute attribute, decode_attribute(item));
    // A load-test client sends one attribute twice; the last one counts (real-clients 2).
    const auto same = std::ranges::find(attributes, attribute.name, &InventoryAttribute::name);
    if (same != attributes.end()) {
      *same = std::move(attribute);
    } else {
      attributes.push_back(std::move(attribute));
    }
  }
  return attributes;
}

json::value encode_instruction(const Instruction& instruction) {
  return {{"id", instruction.deployment_id},
          {"artifact",
           {{"id", instruction.artifact_id},
            {"artifact_name", instruction.artifact_name},
            {"device_types_compatible",
             json::array(instruction.device_types.begin(), instruction.device_types.end())},
            {"source",
             {{"uri", instruction.uri}, {"expire", to_rfc3339(instruction.expires)}, {"method", "GET"}}}}}};
}

}  // namespace postern::device_api
