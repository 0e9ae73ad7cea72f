#include "device/host/identity.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "device/host/key_values.hpp"
#include "device/host/program.hpp"
#include "shared/device_api/go_json.hpp"

namespace postern::device {
namespace {

namespace json = boost::json;

json::string_view view(const std::string& text) {
  return {text.data(), text.size()};
}

/// In the server's own canonical form, which is JSON whatever bytes the script printed.
std::string to_json(const KeyValues& values) {
  json::object object;
  for (const auto& [key, several] : values) {
    json::value& value = object[view(key)];
    if (several.size() == 1) {
      value = view(several.front());
      continue;
    }
    json::array& array = value.emplace_array();
    for (const std::string& one : several) array.emplace_back(view(one));
  }
  return go_json(object);
}

}  // namespace

net::awaitable<Result<std::string>> device_identity(std::string script, Clock& clock, Log& log) {
  auto on_line = [&log](std::string_view line) { log.info("identity.output", {{"line", line}}); };
  POSTERN_CO_TRY(const ProgramEnd end,
                 co_await run_program({.command = {script}}, clock, std::move(on_line)));
  if (end.exit_code != 0) {
    co_return rejected(Reason::none, fmt::format("{} ended with status {}", script, end.exit_code));
  }
  const auto values = parse_key_values(end.output);
  if (!values) co_return invalid(fmt::format("{}: {}", script, values.error().what));
  // Devices without an identity would all be one device to the server.
  if (values->empty()) co_return invalid(fmt::format("{} printed nothing", script));
  co_return to_json(*values);
}

}  // namespace postern::device
