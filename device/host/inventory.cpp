#include "device/host/inventory.hpp"

#include <unistd.h>

#include <filesystem>

#include "device/host/key_values.hpp"
#include "device/host/program.hpp"

namespace postern::device {
namespace {

constexpr std::string_view kPrefix = "mender-inventory-";
constexpr const char* kVersion = "mender_client_version";
constexpr const char* kVersionProvider = "mender_client_version_provider";

Result<std::vector<std::string>> find_scripts(const std::string& directory) {
  namespace fs = std::filesystem;
  std::vector<std::string> scripts;
  std::error_code error;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string path = it->path().string();
    std::error_code unknown;  // a link to nothing is no regular file
    if (it->path().filename().string().starts_with(kPrefix) && it->is_regular_file(unknown) &&
        ::access(path.c_str(), X_OK) == 0) {
      scripts.push_back(path);
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return from_errno(error.value(), fmt::format("list {}", directory));
  }
  std::ranges::sort(scripts);
  return scripts;
}

net::awaitable<Result<KeyValues>> run_script(const std::string& script, Clock& clock, Log& log) {
  auto on_line = [&log, &script](std::string_view line) {
    log.info("inventory.output", {{"script", script}, {"line", line}});
  };
  POSTERN_CO_TRY(const ProgramEnd end,
                 co_await run_program({.command = {script}}, clock, std::move(on_line)));
  if (end.exit_code != 0) {
    co_return rejected(Reason::none, fmt::format("ended with status {}", end.exit_code));
  }
  co_return parse_key_values(end.output);
}

}  // namespace

net::awaitable<Result<Inventory>> device_inventory(std::string directory, std::string version, Clock& clock,
                                                   Log& log) {
  POSTERN_CO_TRY(const auto scripts, find_scripts(directory));
  Inventory inventory;
  std::size_t failed = 0;
  for (const std::string& script : scripts) {
    auto values = co_await run_script(script, clock, log);
    if (!values && values.error().kind == Kind::cancelled) co_return std::move(values).error();
    if (!values) {
      ++failed;
      log.warn("inventory.script_failed", {{"script", script}, {"error", values.error().what}});
      continue;
    }
    for (auto& [name, several] : *values) {
      auto& all = inventory[name];
      all.insert(all.end(), std::move_iterator(several.begin()), std::move_iterator(several.end()));
    }
  }
  if (failed > 0 && failed == scripts.size()) {
    co_return rejected(Reason::none, fmt::format("all inventory scripts in {} failed", directory));
  }
  const bool is_external = inventory.contains(kVersion);
  if (!is_external) inventory[kVersion] = {std::move(version)};
  inventory[kVersionProvider] = {is_external ? "external" : "internal"};
  co_return inventory;
}

}  // namespace postern::device
