#include "gateway/relay/rewrite.hpp"

#include <set>

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::gateway {

namespace json = boost::json;

namespace {

Error no_instruction() {
  return invalid("the upstream's answer is no deployment instruction");
}

}  // namespace

Result<InstructionLink> read_instruction(const json::value& instruction) {
  const auto* root = instruction.if_object();
  const auto* artifact =
      root != nullptr && root->contains("artifact") ? root->at("artifact").if_object() : nullptr;
  const auto* source =
      artifact != nullptr && artifact->contains("source") ? artifact->at("source").if_object() : nullptr;
  if (source == nullptr) return no_instruction();
  InstructionLink link;
  POSTERN_TRY(link.deployment_id, http::string_member(*root, "id"));
  POSTERN_TRY(link.artifact_id, http::string_member(*artifact, "id"));
  POSTERN_TRY(link.artifact_name, http::string_member(*artifact, "artifact_name"));
  POSTERN_TRY(link.uri, http::string_member(*source, "uri"));
  if (link.deployment_id.empty() || link.uri.empty()) return no_instruction();
  return link;
}

void set_link(json::value& instruction, const std::string& uri, const std::string& expires) {
  auto& source = instruction.as_object().at("artifact").as_object().at("source").as_object();
  source["uri"] = uri;
  source["expire"] = expires;
}

bool is_configuration_link(const http::Url& url) {
  return url.target.find("/deployments/download/configuration/") != std::string::npos;
}

Result<std::string> add_attributes(std::string_view inventory, std::span<const AttributeConfig> attributes) {
  POSTERN_TRY(json::value parsed, http::parse_json(inventory));
  if (!parsed.is_array()) return invalid("the inventory is no array");
  std::set<std::string, std::less<>> names;
  for (const json::value& attribute : parsed.as_array()) {
    if (!attribute.is_object()) return invalid("an attribute of the inventory is no object");
    POSTERN_TRY(const std::string name, http::string_member(attribute.as_object(), "name"));
    names.insert(name);
  }
  for (const AttributeConfig& attribute : attributes) {
    if (!names.insert(attribute.name).second) continue;
    parsed.as_array().push_back(json::object{{"name", attribute.name}, {"value", attribute.value}});
  }
  return json::serialize(parsed);
}

Result<std::string> cut_log(std::string_view log, std::size_t size_max) {
  if (log.size() <= size_max) return std::string(log);
  POSTERN_TRY(json::value parsed, http::parse_json(log));
  auto* root = parsed.if_object();
  auto* messages = root != nullptr && root->contains("messages") ? root->at("messages").if_array() : nullptr;
  if (messages == nullptr) return invalid("the log has no messages");
  std::vector<std::size_t> sizes;
  for (const json::value& message : *messages) sizes.push_back(json::serialize(message).size() + 1);
  constexpr std::size_t kFrameBytes = 256;
  std::size_t kept = 0;
  std::size_t bytes = kFrameBytes;
  while (kept < sizes.size() && bytes + sizes[sizes.size() - 1 - kept] <= size_max) {
    bytes += sizes[sizes.size() - 1 - kept];
    ++kept;
  }
  messages->erase(messages->begin(), messages->end() - static_cast<std::ptrdiff_t>(kept));
  return json::serialize(parsed);
}

}  // namespace postern::gateway
