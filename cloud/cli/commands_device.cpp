#include <boost/json.hpp>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/json_text.hpp"
#include "cloud/cli/progress.hpp"
#include "cloud/cli/table.hpp"
#include "shared/http/url.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr std::string_view kDevices = "v2/devauth/devices";
constexpr std::size_t kPerPage = 500;

net::awaitable<Result<json::array>> devices(Context& context, std::string_view status) {
  const std::string query = status.empty() ? "" : fmt::format("?status={}", http::percent_encode(status));
  co_return co_await context.api.list(fmt::format("{}{}", kDevices, query), kPerPage);
}

std::string identity_of(const json::value& device) {
  const json::object* identity = member(device, "identity_data").if_object();
  std::string text;
  if (identity == nullptr) return text;
  for (const auto& [name, value] : *identity) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", printable(name), text_of(value));
  }
  return text;
}

/// Waits until `count` devices are pending.
net::awaitable<Status> wait_for_pending(Context& context, std::size_t count, Duration timeout) {
  Progress progress("waiting for devices", count, false, context.clock);
  const SteadyTime end = context.clock.now() + timeout;
  for (;;) {
    POSTERN_CO_TRY(const json::array pending, co_await devices(context, "pending"));
    if (pending.size() >= count) {
      progress.finish(pending.size());
      co_return Status{};
    }
    progress.update(pending.size());
    if (context.clock.now() >= end) {
      co_return exhausted(fmt::format("only {} of {} devices asked to be let in", pending.size(), count));
    }
    POSTERN_CO_CHECK(co_await context.clock.sleep(500ms));
  }
}

/// The auth set that a decision is about: one that waits for it, else the newest.
std::string set_to_decide(const json::value& device) {
  const json::array* sets = member(device, "auth_sets").if_array();
  if (sets == nullptr || sets->empty()) return {};
  for (const json::value& set : *sets) {
    if (text_member(set, "status") == "pending") return text_member(set, "id");
  }
  return text_member(sets->back(), "id");
}

net::awaitable<Status> decide(Context& context, const json::value& device, const std::string& status) {
  const std::string id = text_member(device, "id");
  const std::string set = set_to_decide(device);
  if (set.empty())
    co_return conflict(fmt::format("device {} has no auth set: it has not asked to be let in", id));
  const json::value body{{"status", status}};
  POSTERN_CO_CHECK(
      co_await context.api.send("PUT", fmt::format("{}/{}/auth/{}/status", kDevices, id, set), &body));
  co_return Status{};
}

}  // namespace

Text list_devices(Context& context, std::string status) {
  POSTERN_CO_TRY(const json::array all, co_await devices(context, status));
  if (context.output == Output::json) co_return json_text(all);
  Table table({"ID", "STATUS", "IDENTITY", "CREATED"});
  for (const json::value& device : all) {
    table.add({text_member(device, "id"), text_member(device, "status"), identity_of(device),
               text_member(device, "created_ts")});
  }
  co_return table.text();
}

Text show_device(Context& context, std::string id) {
  const std::string encoded = http::percent_encode(id);
  POSTERN_CO_TRY(json::value device, co_await context.api.get(fmt::format("{}/{}", kDevices, encoded)));
  POSTERN_CO_TRY(json::value inventory, co_await context.api.get("v1/inventory/devices/" + encoded));
  if (context.output == Output::json) co_return json_text({{"device", device}, {"inventory", inventory}});
  std::string text = fmt::format("{:<12}{}\n{:<12}{}\n{:<12}{}\n{:<12}{}\n", "ID", text_member(device, "id"),
                                 "Status", text_member(device, "status"), "Identity", identity_of(device),
                                 "Created", text_member(device, "created_ts"));
  if (const json::array* sets = member(device, "auth_sets").if_array()) {
    for (const json::value& set : *sets) {
      text += fmt::format("{:<12}{}  {}  {}\n", "Auth set", text_member(set, "id"),
                          text_member(set, "status"), text_member(set, "ts"));
    }
  }
  if (const json::array* attributes = member(inventory, "attributes").if_array()) {
    for (const json::value& attribute : *attributes) {
      if (text_member(attribute, "scope") != "inventory") continue;
      text += fmt::format("{:<12}{} = {}\n", "Inventory", text_member(attribute, "name"),
                          text_of(member(attribute, "value")));
    }
  }
  co_return text;
}

Text decide_devices(Context& context, std::string status, DecideOptions options) {
  if (options.wait_for > 0)
    POSTERN_CO_CHECK(co_await wait_for_pending(context, options.wait_for, options.timeout));
  json::array chosen;
  if (options.all_pending) {
    POSTERN_CO_TRY(chosen, co_await devices(context, "pending"));
  }
  for (const std::string& id : options.ids) {
    POSTERN_CO_TRY(json::value device,
                   co_await context.api.get(fmt::format("{}/{}", kDevices, http::percent_encode(id))));
    chosen.push_back(std::move(device));
  }
  json::array ids;
  for (const json::value& device : chosen) {
    POSTERN_CO_CHECK(co_await decide(context, device, status));
    ids.emplace_back(text_member(device, "id"));
  }
  if (context.output == Output::json) co_return json_text(ids);
  std::string text;
  for (const json::value& device : chosen) {
    text += fmt::format("{} {}  {}\n", status, text_member(device, "id"), identity_of(device));
  }
  co_return text.empty() ? "no device is pending\n" : text;
}

}  // namespace postern::cli
