#include "cloud/cli/json_text.hpp"

#include <boost/json.hpp>

#include "shared/cli/table.hpp"

namespace postern::cli {

namespace json = boost::json;

const json::value& member(const json::value& value, std::string_view name) {
  static const json::value nothing;
  const json::object* object = value.if_object();
  const json::value* found = object == nullptr ? nullptr : object->if_contains(name);
  return found == nullptr ? nothing : *found;
}

std::string text_of(const json::value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return printable(std::string_view(value.get_string()));
  if (!value.is_array()) return printable(json::serialize(value));
  std::string text;
  for (const json::value& item : value.get_array()) text += (text.empty() ? "" : ", ") + text_of(item);
  return text;
}

std::string pairs_text(const json::value& object) {
  std::string text;
  if (!object.is_object()) return text;
  for (const auto& [name, value] : object.get_object()) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", printable(name), text_of(value));
  }
  return text;
}

std::span<const json::value> items(const json::value& value) {
  if (!value.is_array()) return {};
  return {value.get_array().data(), value.get_array().size()};
}

std::string text_member(const json::value& value, std::string_view name) {
  return text_of(member(value, name));
}

std::uint64_t number_member(const json::value& value, std::string_view name) {
  json::error_code error;
  const auto number = member(value, name).to_number<std::uint64_t>(error);
  return error ? 0 : number;
}

std::string site_text(const json::value& device) {
  const json::value& site = member(device, "site");
  if (site.is_null()) return {};
  const std::string text = text_of(site);
  return text.empty() ? "direct" : text;
}

std::string json_text(const json::value& value) {
  return json::serialize(value) + "\n";
}

}  // namespace postern::cli
