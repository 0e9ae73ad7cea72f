#include <map>
#include <set>

#include <boost/json.hpp>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/json_text.hpp"
#include "cloud/cli/poller.hpp"
#include "shared/cli/table.hpp"
#include "shared/http/url.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kDeployments = "v1/deployments/deployments";
/// Ids in one request; with them its head stays below 8 KiB.
constexpr std::size_t kIdsPerRequest = 100;

std::string path_of(std::string_view id) {
  return fmt::format("{}/{}", kDeployments, http::percent_encode(id));
}

net::awaitable<Result<json::value>> deployment(Context& context, std::string id) {
  co_return about("deployment " + printable(id), co_await context.api.get(path_of(id)));
}

const json::value& counts_of(const json::value& deployment) {
  return member(member(deployment, "statistics"), "status");
}

/// "installing 2, success 3": what is not zero.
std::string describe_counts(const json::value& deployment) {
  const json::object* counts = counts_of(deployment).if_object();
  std::string text;
  if (counts == nullptr) return text;
  for (const auto& [status, count] : *counts) {
    if (const std::string number = text_of(count); number != "0") {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", printable(status), number);
    }
  }
  return text;
}

/// Devices whose outcome is known.
std::uint64_t finals_of(const json::value& deployment) {
  std::uint64_t total = 0;
  for (const char* status :
       {"success", "failure", "already-installed", "noartifact", "aborted", "decommissioned"}) {
    total += number_member(counts_of(deployment), status);
  }
  return total;
}

/// What went wrong in a finished deployment, as a sentence; empty: nothing did. Targets that an abort kept
/// from ever asking are counted nowhere (management-api 4.8).
std::string failure_of(const json::value& deployment) {
  const std::uint64_t failed = number_member(counts_of(deployment), "failure");
  const std::uint64_t aborted = number_member(counts_of(deployment), "aborted");
  const std::uint64_t targets = number_member(deployment, "max_devices");
  const std::uint64_t unreached = targets - std::min(targets, finals_of(deployment));
  if (failed + aborted + unreached == 0) return {};
  return fmt::format("deployment {} did not go well: {} failed, {} aborted, {} never asked for it",
                     text_member(deployment, "id"), failed, aborted, unreached);
}

std::string seconds_between(const std::string& from, const std::string& to) {
  const auto first = from_rfc3339(from);
  const auto last = from_rfc3339(to);
  if (!first || !last) return "";
  return fmt::format("{:.1f}", std::chrono::duration<double>(*last - *first).count());
}

/// Identities by device id; devices that are gone have none.
net::awaitable<Result<std::map<std::string, std::string>>> identities(Context& context,
                                                                      std::vector<std::string> ids) {
  std::map<std::string, std::string> known;
  for (std::size_t begin = 0; begin < ids.size(); begin += kIdsPerRequest) {
    http::QueryParameters query;
    const std::size_t end = std::min(ids.size(), begin + kIdsPerRequest);
    for (std::size_t i = begin; i < end; ++i) query.emplace_back("id", ids[i]);
    POSTERN_CO_TRY(const json::array devices,
                   co_await context.api.list("v2/devauth/devices?" + http::build_query(query)));
    for (const json::value& device : devices) {
      known[text_member(device, "id")] = pairs_text(member(device, "identity_data"));
    }
  }
  co_return known;
}

net::awaitable<Result<json::array>> device_rows(Context& context, std::string id) {
  co_return co_await context.api.list(path_of(id) + "/devices/list");
}

/// Also for targets that have not asked yet, which the server does not list among the devices.
net::awaitable<Result<std::string>> device_table(Context& context, std::string id, json::array rows) {
  POSTERN_CO_TRY(const json::value targets, co_await context.api.get(path_of(id) + "/device_list"));
  std::vector<std::string> ids;
  for (const json::value& row : rows) ids.push_back(text_member(row, "id"));
  const std::set<std::string> asked(ids.begin(), ids.end());
  for (const json::value& target : items(targets)) {
    if (!asked.contains(text_of(target))) ids.push_back(text_of(target));
  }
  POSTERN_CO_TRY(auto identity, co_await identities(context, ids));
  Table table({"DEVICE", "IDENTITY", "STATUS", "STARTED", "FINISHED", "SECONDS"});
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i >= rows.size()) {
      table.add({ids[i], identity[ids[i]], "not asked", "", "", ""});
      continue;
    }
    const std::string started = text_member(rows[i], "started");
    const std::string finished = text_member(rows[i], "finished");
    table.add({ids[i], identity[ids[i]], text_member(rows[i], "status"), started, finished,
               seconds_between(started, finished)});
  }
  co_return table.text();
}

std::string head_of(const json::value& deployment) {
  Sheet sheet;
  sheet.add("ID", text_member(deployment, "id"));
  sheet.add("Name", text_member(deployment, "name"));
  sheet.add("Artifact", text_member(deployment, "artifact_name"));
  const std::string state = text_member(member(deployment, "postern"), "state");
  const bool is_held = state == "paused" || state == "stopped";
  sheet.add("Status", text_member(deployment, "status") + (is_held ? ", " + state : ""));
  sheet.add("Devices", describe_counts(deployment));
  sheet.add("Created", text_member(deployment, "created"));
  sheet.add("Finished", text_member(deployment, "finished"));
  return sheet.text();
}

/// The deployment as JSON with its devices, or the table of its devices with what `head` makes of it above.
Text show(Context& context, json::value shown, std::string head) {
  const std::string id = text_member(shown, "id");
  POSTERN_CO_TRY(json::array rows, co_await device_rows(context, id));
  if (context.output == Output::table) {
    POSTERN_CO_TRY(const std::string table, co_await device_table(context, id, std::move(rows)));
    co_return head + table;
  }
  if (json::object* object = shown.if_object()) object->insert_or_assign("devices", std::move(rows));
  co_return json_text(shown);
}

}  // namespace

Text create_deployment(Context& context, CreateOptions options) {
  json::object body{{"name", options.name}, {"artifact_name", options.artifact}};
  if (options.all_devices) {
    body["all_devices"] = true;
  } else if (!options.devices.empty()) {
    body["devices"] = json::array(options.devices.begin(), options.devices.end());
  }
  if (options.force) body["force_installation"] = true;
  if (options.retries) body["retries"] = *options.retries;
  POSTERN_CO_CHECK(add_plan(options, context.clock.wall(), body));
  const std::string_view path = is_planned(options) ? "v2/deployments/deployments" : kDeployments;
  co_return about("deployment of " + printable(options.artifact),
                  co_await context.api.create(std::string(path), std::move(body)));
}

std::string deployment_created(const Context& context, const std::string& id) {
  return context.output == Output::json ? json_text({{"id", id}}) : id + "\n";
}

Text list_deployments(Context& context) {
  POSTERN_CO_TRY(const json::array all, co_await context.api.list(std::string(kDeployments)));
  if (context.output == Output::json) co_return json_text(all);
  Table table({"ID", "NAME", "ARTIFACT", "STATUS", "DONE", "DEVICES", "CREATED", "FINISHED"});
  for (const json::value& each : all) {
    table.add({text_member(each, "id"), text_member(each, "name"), text_member(each, "artifact_name"),
               text_member(each, "status"),
               fmt::format("{}/{}", finals_of(each), number_member(each, "max_devices")),
               describe_counts(each), text_member(each, "created"), text_member(each, "finished")});
  }
  co_return table.text();
}

Text show_deployment(Context& context, std::string id) {
  POSTERN_CO_TRY(json::value shown, co_await deployment(context, id));
  std::string head = head_of(shown) + "\n";
  co_return co_await show(context, std::move(shown), std::move(head));
}

ReportOrError watch_deployment(Context& context, std::string id, Duration timeout) {
  const std::string thing = "deployment " + printable(id);
  Poller poller(context, timeout);
  std::optional<Progress> progress;
  std::string state = "the server did not answer";
  for (;;) {
    POSTERN_CO_TRY(auto seen, about(thing, co_await poller.get(path_of(id))));
    if (seen) {
      const std::uint64_t done = finals_of(*seen);
      const std::uint64_t targets = number_member(*seen, "max_devices");
      state = describe_counts(*seen);
      if (!progress) {
        progress.emplace(context.screen, context.clock, text_member(*seen, "name"), targets,
                         Progress::Unit::things);
      }
      if (text_member(*seen, "status") == "finished") {
        progress->finish(done, state);
        Report report;
        if (std::string failure = failure_of(*seen); !failure.empty())
          report.failures.push_back(std::move(failure));
        POSTERN_CO_TRY(report.text, co_await show(context, *std::move(seen), {}));
        co_return report;
      }
      progress->update(done, state);
    }
    POSTERN_CO_TRY(const bool goes_on, co_await poller.pause());
    if (!goes_on) {
      co_return exhausted(
          fmt::format("{} did not finish within {}: {}", thing, human_duration(timeout), state));
    }
  }
}

}  // namespace postern::cli
