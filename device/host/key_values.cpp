#include "device/host/key_values.hpp"

namespace postern::device {

Result<KeyValues> parse_key_values(std::string_view text) {
  KeyValues values;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return invalid(fmt::format("line \"{}\" is not of the form key=value", line.substr(0, 200)));
    }
    values[std::string(line.substr(0, equals))].emplace_back(line.substr(equals + 1));
  }
  return values;
}

}  // namespace postern::device
