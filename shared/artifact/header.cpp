#include "shared/artifact/header.hpp"

#include <boost/json/value.hpp>

#include "shared/artifact/strict_json.hpp"

namespace postern {
namespace {

namespace json = boost::json;

constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kDeviceTypesMax = 200;
constexpr std::size_t kFileNameMax = 255;

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Status check_text(std::string_view text, std::string_view where) {
  if (text.size() > kTextBytesMax) {
    return invalid(fmt::format("{} is longer than {} bytes", where, kTextBytesMax));
  }
  if (has_control_characters(text)) return invalid(fmt::format("{} holds a control character", where));
  return {};
}

Result<std::string> text_of(const json::value& value, std::string_view where) {
  const json::string* text = value.if_string();
  if (text == nullptr) return invalid(fmt::format("{} is not a string", where));
  std::string out(text->data(), text->size());
  POSTERN_CHECK(check_text(out, where));
  return out;
}

Result<std::vector<std::string>> texts_of(const json::value& value, std::string_view where) {
  const json::array* array = value.if_array();
  if (array == nullptr) return invalid(fmt::format("{} is not an array of strings", where));
  std::vector<std::string> texts;
  for (const json::value& element : *array) {
    POSTERN_TRY(texts.emplace_back(), text_of(element, where));
  }
  return texts;
}

Result<std::vector<std::string>> text_or_texts_of(const json::value& value, std::string_view where) {
  if (value.is_array()) return texts_of(value, where);
  if (!value.is_string())
    return invalid(fmt::format("{} is neither a string nor an array of strings", where));
  POSTERN_TRY(auto text, text_of(value, where));
  return std::vector{std::move(text)};
}

Result<const json::object*> object_of(const json::value& value, std::string_view where) {
  const json::object* object = value.if_object();
  if (object == nullptr) return invalid(fmt::format("{} is not an object", where));
  return object;
}

Status add_depend(ArtifactHeader& header, std::string_view key, const json::value& value,
                  std::string_view where) {
  POSTERN_CHECK(check_text(key, where));
  POSTERN_TRY(auto values, text_or_texts_of(value, where));
  if (values.empty()) return {};
  if (!header.depends.emplace(key, std::move(values)).second) {
    return invalid(fmt::format("{} is also in header-info", where));
  }
  return {};
}

Status read_payloads(const json::value& value, ArtifactHeader& header) {
  const json::array* payloads = value.if_array();
  if (payloads == nullptr || payloads->size() != 1) {
    return invalid("header-info: payloads is not an array of one payload");
  }
  POSTERN_TRY(const auto* payload, object_of((*payloads)[0], "header-info: payloads[0]"));
  POSTERN_TRY(const auto members, JsonMembers::sort(*payload, "header-info: payloads[0]", {"type"}));
  POSTERN_CHECK(members.refuse_others());
  POSTERN_TRY(const auto* type, members.need("type"));
  if (type->is_null()) return {};
  POSTERN_TRY(header.payload_type, text_of(*type, members.where("type")));
  if (header.payload_type->empty()) return invalid("header-info: payloads[0]: type is empty");
  return {};
}

Status read_artifact_provides(const json::value& value, ArtifactHeader& header) {
  const std::string where = "header-info: artifact_provides";
  POSTERN_TRY(const auto* provides, object_of(value, where));
  POSTERN_TRY(const auto members, JsonMembers::sort(*provides, where, {"artifact_name", "artifact_group"}));
  POSTERN_CHECK(members.refuse_others());
  POSTERN_TRY(const auto* name, members.need("artifact_name"));
  POSTERN_TRY(header.name, text_of(*name, members.where("artifact_name")));
  if (header.name.empty()) return invalid("metadata invalid: header-info: artifact_name is empty");
  header.provides["artifact_name"] = header.name;
  if (const auto* group = members.find("artifact_group")) {
    POSTERN_TRY(header.group, text_of(*group, members.where("artifact_group")));
    if (!header.group.empty()) header.provides["artifact_group"] = header.group;
  }
  return {};
}

Status read_artifact_depends(const json::value& value, ArtifactHeader& header) {
  const std::string where = "header-info: artifact_depends";
  POSTERN_TRY(const auto* depends, object_of(value, where));
  POSTERN_TRY(const auto members,
              JsonMembers::sort(*depends, where, {"device_type", "artifact_name", "artifact_group"}));
  POSTERN_TRY(const auto* types, members.need("device_type"));
  POSTERN_TRY(header.device_types, texts_of(*types, members.where("device_type")));
  if (header.device_types.empty() ||
      std::ranges::any_of(header.device_types, [](const auto& type) { return type.empty(); })) {
    return invalid("metadata invalid: header-info: device_type has no entry or an empty one");
  }
  if (header.device_types.size() > kDeviceTypesMax) {
    return invalid(fmt::format("header-info: more than {} device types", kDeviceTypesMax));
  }
  header.depends["device_type"] = header.device_types;
  for (const std::string_view key : {"artifact_name", "artifact_group"}) {
    const json::value* list = members.find(key);
    if (list == nullptr) continue;
    if (!list->is_array()) return invalid(fmt::format("{} is not an array of strings", members.where(key)));
    POSTERN_CHECK(add_depend(header, key, *list, members.where(key)));
  }
  for (const auto& [key, list] : members.others()) {
    POSTERN_CHECK(add_depend(header, key, *list, members.where(key)));
  }
  return {};
}

Status read_header_info(std::string_view text, ArtifactHeader& header) {
  POSTERN_TRY(const auto document, parse_json_object(text, "header-info", DuplicateKeys::refuse));
  POSTERN_TRY(const auto members, JsonMembers::sort(document, "header-info",
                                                    {"payloads", "artifact_provides", "artifact_depends"}));
  POSTERN_CHECK(members.refuse_others());
  POSTERN_TRY(const auto* payloads, members.need("payloads"));
  POSTERN_TRY(const auto* provides, members.need("artifact_provides"));
  POSTERN_TRY(const auto* depends, members.need("artifact_depends"));
  POSTERN_CHECK(read_payloads(*payloads, header));
  POSTERN_CHECK(read_artifact_provides(*provides, header));
  return read_artifact_depends(*depends, header);
}

/// Writers before mender-artifact 4.3.1 leave the type of root file systems empty; an empty payload may name
/// anything.
Status check_type(const json::value& value, const ArtifactHeader& header) {
  if (value.is_null()) return {};
  POSTERN_TRY(const auto type, text_of(value, "type-info: type"));
  if (type.empty() || !header.payload_type || type == *header.payload_type) return {};
  return invalid("type-info: type differs from the one in header-info");
}

Status read_payload_provides(const json::value& value, ArtifactHeader& header) {
  POSTERN_TRY(const auto* provides, object_of(value, "type-info: artifact_provides"));
  header.has_payload_provides = true;
  for (const auto& member : *provides) {
    const std::string_view key(member.key().data(), member.key().size());
    const std::string where = fmt::format("type-info: artifact_provides: {}", key);
    POSTERN_CHECK(check_text(key, where));
    POSTERN_TRY(auto text, text_of(member.value(), where));
    if (!header.provides.emplace(key, std::move(text)).second) {
      return invalid(fmt::format("{} is also in header-info", where));
    }
  }
  return {};
}

Status read_type_info(std::string_view text, ArtifactHeader& header) {
  POSTERN_TRY(const auto document, parse_json_object(text, "type-info", DuplicateKeys::refuse));
  POSTERN_TRY(const auto members, JsonMembers::sort(document, "type-info",
                                                    {"type", "artifact_provides", "artifact_depends",
                                                     "clears_artifact_provides"}));
  POSTERN_TRY(const auto* type, members.need("type"));
  POSTERN_CHECK(check_type(*type, header));
  // The optional members may be null.
  if (const auto* provides = members.find("artifact_provides"); provides != nullptr && !provides->is_null()) {
    POSTERN_CHECK(read_payload_provides(*provides, header));
  }
  if (const auto* depends = members.find("artifact_depends"); depends != nullptr && !depends->is_null()) {
    POSTERN_TRY(const auto* object, object_of(*depends, "type-info: artifact_depends"));
    for (const auto& member : *object) {
      const std::string_view key(member.key().data(), member.key().size());
      POSTERN_CHECK(
          add_depend(header, key, member.value(), fmt::format("type-info: artifact_depends: {}", key)));
    }
  }
  const auto* clears = members.find("clears_artifact_provides");
  if (clears != nullptr && !clears->is_null()) {
    POSTERN_TRY(header.clears_provides, texts_of(*clears, "type-info: clears_artifact_provides"));
  }
  return {};
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take_any(std::string_view& text, std::initializer_list<std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return take(text, prefix); });
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

Status check_version(std::string_view text) {
  POSTERN_TRY(const auto document, parse_json_object(text, "version", DuplicateKeys::refuse));
  POSTERN_TRY(const auto members, JsonMembers::sort(document, "version", {"format", "version"}));
  POSTERN_CHECK(members.refuse_others());
  POSTERN_TRY(const auto* format, members.need("format"));
  POSTERN_TRY(const auto* version, members.need("version"));
  if (!format->is_string() || format->get_string() != "mender") {
    return invalid("version: format is not mender");
  }
  if (version->is_int64() && version->get_int64() == kArtifactVersion) return {};
  if (!version->is_int64()) return invalid("version: version is not an integer");
  return invalid(fmt::format("unsupported version {}; the supported version is {}", version->get_int64(),
                             kArtifactVersion));
}

Result<ArtifactHeader> parse_header(const HeaderTexts& texts) {
  ArtifactHeader header;
  POSTERN_CHECK(read_header_info(texts.header_info, header));
  POSTERN_CHECK(read_type_info(texts.type_info, header));
  header.header_info = texts.header_info;
  header.type_info = texts.type_info;
  if (texts.meta_data) {
    if (!header.payload_type) return invalid("meta-data: not allowed with an empty payload");
    header.meta_data = *texts.meta_data;
    if (!header.meta_data.empty()) {
      const auto object = parse_json_object(header.meta_data, "meta-data", DuplicateKeys::last_wins);
      if (!object) return object.error();
    }
  }
  return header;
}

bool is_usable_payload_type(std::string_view type) {
  return !type.empty() && type.size() <= kFileNameMax && type != "." && type != ".." && !type.contains('/') &&
         !has_control_characters(type);
}

bool is_script_name(std::string_view name) {
  if (name.size() > kFileNameMax) return false;
  // RollbackReboot stands before Rollback, whose name it begins with.
  if (!take(name, "Artifact") ||
      !take_any(name, {"Install", "Reboot", "RollbackReboot", "Rollback", "Commit", "Failure"}) ||
      !take_any(name, {"_Enter_", "_Leave_", "_Error_"})) {
    return false;
  }
  if (name.size() < 2 || !is_digit(name[0]) || !is_digit(name[1])) return false;
  name.remove_prefix(2);
  if (name.empty()) return true;
  return name.size() >= 2 && name.front() == '_' && std::ranges::none_of(name, [](char c) {
           return c == '/' || c == ' ' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

}  // namespace postern
