#include "device/update/pretty_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace postern::device {
namespace {

namespace json = boost::json;

void write(const json::value& value, std::size_t depth, std::string& out);

void new_line(std::size_t depth, std::string& out) {
  out += '\n';
  out.append(2 * depth, ' ');
}

void write_object(const json::object& object, std::size_t depth, std::string& out) {
  std::vector<const json::key_value_pair*> members;
  for (const auto& member : object) members.push_back(&member);
  std::ranges::sort(members, {}, [](const auto* member) { return std::string_view(member->key()); });
  out += '{';
  std::string_view separator;
  for (const auto* member : members) {
    out += separator;
    separator = ",";
    new_line(depth + 1, out);
    out += json::serialize(json::string(member->key()));
    out += ": ";
    write(member->value(), depth + 1, out);
  }
  if (!members.empty()) new_line(depth, out);
  out += '}';
}

void write_array(const json::array& array, std::size_t depth, std::string& out) {
  out += '[';
  std::string_view separator;
  for (const json::value& element : array) {
    out += separator;
    separator = ",";
    new_line(depth + 1, out);
    write(element, depth + 1, out);
  }
  if (!array.empty()) new_line(depth, out);
  out += ']';
}

/// As deep as the parser allows, which is 32 levels.
void write(const json::value& value, std::size_t depth, std::string& out) {
  if (value.is_object()) {
    write_object(value.get_object(), depth, out);
  } else if (value.is_array()) {
    write_array(value.get_array(), depth, out);
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

Result<std::string> pretty_json(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return invalid(fmt::format("JSON: {}", error.message()));
  std::string out;
  write(value, 0, out);
  return out;
}

}  // namespace postern::device
