#include <boost/json.hpp>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/json_text.hpp"
#include "cloud/cli/poller.hpp"
#include "shared/cli/table.hpp"
#include "shared/http/url.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kDevices = "v2/devauth/devices";

std::string path_of(std::string_view id) {
  return fmt::format("{}/{}", kDevices, http::percent_encode(id));
}

net::awaitable<Result<json::array>> devices(Context& context, std::string_view status) {
  const std::string query = status.empty() ? "" : fmt::format("?status={}", http::percent_encode(status));
  co_return co_await context.api.list(fmt::format("{}{}", kDevices, query));
}

net::awaitable<Result<json::value>> device(Context& context, std::string id) {
  co_return about("device " + printable(id), co_await context.api.get(path_of(id)));
}

/// Null for a device without inventory: a server keeps one for accepted devices only (management-api 2.7).
net::awaitable<Result<json::value>> inventory(Context& context, std::string id) {
  auto found = co_await context.api.get("v1/inventory/devices/" + http::percent_encode(id));
  if (!found && found.error().reason == Reason::not_found) co_return json::value();
  co_return about("inventory of device " + printable(id), std::move(found));
}

/// Waits until `count` devices are pending.
net::awaitable<Status> wait_for_pending(Context& context, std::size_t count, Duration timeout) {
  Progress progress(context.screen, context.clock, "waiting for devices", count, Progress::Unit::things);
  Poller poller(context, timeout);
  std::string state = "the server did not answer";
  for (;;) {
    POSTERN_CO_TRY(const auto answer, co_await poller.get(fmt::format("{}/count?status=pending", kDevices)));
    if (answer) {
      const std::uint64_t pending = number_member(*answer, "count");
      state = fmt::format("{} pending", pending);
      progress.update(pending);
      if (pending >= count) co_return Status{};
    }
    POSTERN_CO_TRY(const bool goes_on, co_await poller.pause());
    if (!goes_on) {
      co_return exhausted(fmt::format("{} devices did not ask to be let in within {}: {}", count,
                                      human_duration(timeout), state));
    }
  }
}

/// Where a device was before, for one that has moved.
std::string departure_text(const json::value& device) {
  const json::value& left = member(device, "previous_site");
  if (left.is_null()) return {};
  const std::string site = text_of(left);
  return fmt::format("{} until {}", site.empty() ? "direct" : site, text_member(device, "moved_ts"));
}

std::string conflict_text(const json::value& conflict) {
  if (conflict.is_null()) return {};
  return fmt::format("gateway {} of site {} asked for auth set {} at {}", text_member(conflict, "gateway"),
                     text_member(conflict, "site"), text_member(conflict, "auth_set"),
                     text_member(conflict, "at"));
}

std::vector<std::string> sets_with(const json::value& device, std::string_view status) {
  std::vector<std::string> ids;
  for (const json::value& set : items(member(device, "auth_sets"))) {
    if (text_member(set, "status") == status) ids.push_back(text_member(set, "id"));
  }
  return ids;
}

net::awaitable<Status> decide(Context& context, const json::value& device, std::string_view status,
                              const std::string& auth_set) {
  const std::string id = text_member(device, "id");
  std::vector<std::string> sets{auth_set};
  if (auth_set.empty()) {
    POSTERN_CO_TRY(sets, about("device " + id, sets_to_change(device, status)));
  }
  for (const std::string& set : sets) {
    const std::string path = fmt::format("{}/auth/{}/status", path_of(id), http::percent_encode(set));
    const json::value body{{"status", status}};
    POSTERN_CO_CHECK(about("device " + id, co_await context.api.put(path, body)));
  }
  co_return Status{};
}

}  // namespace

Result<std::vector<std::string>> sets_to_change(const json::value& device, std::string_view status) {
  auto pending = sets_with(device, "pending");
  auto accepted = sets_with(device, "accepted");
  auto rejected = sets_with(device, "rejected");
  if (pending.empty() && accepted.empty() && rejected.empty()) {
    return conflict("it has not asked to be let in: no auth set of it waits");
  }
  if (status == "rejected") {
    pending.insert(pending.end(), accepted.begin(), accepted.end());
    return pending;
  }
  if (pending.empty() && !accepted.empty()) return std::vector<std::string>{};
  auto& candidates = pending.empty() ? rejected : pending;
  if (candidates.size() == 1) return candidates;
  return conflict(fmt::format("it has {} keys to choose from; say which with --auth-set: {}",
                              candidates.size(), fmt::join(candidates, ", ")));
}

Text list_devices(Context& context, std::string status) {
  POSTERN_CO_TRY(const json::array all, co_await devices(context, status));
  if (context.output == Output::json) co_return json_text(all);
  Table table({"ID", "STATUS", "IDENTITY", "SITE", "CREATED"});
  for (const json::value& each : all) {
    table.add({text_member(each, "id"), text_member(each, "status"),
               pairs_text(member(each, "identity_data")), site_text(each), text_member(each, "created_ts")});
  }
  co_return table.text();
}

Text show_device(Context& context, std::string id) {
  POSTERN_CO_TRY(json::value shown, co_await device(context, id));
  POSTERN_CO_TRY(json::value known, co_await inventory(context, id));
  if (context.output == Output::json) co_return json_text({{"device", shown}, {"inventory", known}});
  Sheet sheet;
  sheet.add("ID", text_member(shown, "id"));
  sheet.add("Status", text_member(shown, "status"));
  sheet.add("Identity", pairs_text(member(shown, "identity_data")));
  sheet.add("Created", text_member(shown, "created_ts"));
  sheet.add("Site", site_text(shown));
  sheet.add("Gateway", text_member(shown, "gateway"));
  sheet.add("There since", text_member(shown, "site_since"));
  sheet.add("Before", departure_text(shown));
  sheet.add("Conflict", conflict_text(member(shown, "conflict")));
  sheet.add("Last seen", text_member(shown, "check_in_time"));
  for (const json::value& set : items(member(shown, "auth_sets"))) {
    sheet.add("Auth set", fmt::format("{}  {}  {}", text_member(set, "id"), text_member(set, "status"),
                                      text_member(set, "ts")));
  }
  for (const json::value& attribute : items(member(known, "attributes"))) {
    if (text_member(attribute, "scope") != "inventory") continue;
    sheet.add("Inventory",
              fmt::format("{} = {}", text_member(attribute, "name"), text_member(attribute, "value")));
  }
  co_return sheet.text();
}

ReportOrError decide_devices(Context& context, std::string status, DecideOptions options) {
  if (options.wait_for > 0) {
    POSTERN_CO_CHECK(co_await wait_for_pending(context, options.wait_for, options.timeout));
  }
  Report report;
  json::array chosen;
  if (options.all_pending) {
    POSTERN_CO_TRY(chosen, co_await devices(context, "pending"));
  }
  for (const std::string& id : options.ids) {
    auto found = co_await device(context, id);
    if (found)
      chosen.push_back(*std::move(found));
    else
      report.failures.push_back(std::move(found).error().what);
  }
  json::array done;
  std::string text;
  for (const json::value& each : chosen) {
    const Status decided = co_await decide(context, each, status, options.auth_set);
    if (!decided) {
      report.failures.push_back(decided.error().what);
      // Nothing that this device did: the next one would fail the same way.
      if (decided.error().reason == Reason::unauthorized || decided.error().kind == Kind::transient) break;
      continue;
    }
    done.emplace_back(text_member(each, "id"));
    text += fmt::format("{} {}  {}\n", status, text_member(each, "id"),
                        pairs_text(member(each, "identity_data")));
  }
  if (chosen.empty() && report.failures.empty()) text = "no device is pending\n";
  report.text = context.output == Output::json ? json_text(done) : text;
  co_return report;
}

}  // namespace postern::cli
