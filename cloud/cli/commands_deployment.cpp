#include <set>

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

constexpr std::string_view kDeployments = "v1/deployments/deployments";
constexpr std::size_t kPerPage = 500;
constexpr int kFailedPollsMax = 30;

std::string path_of(const std::string& id) {
  return fmt::format("{}/{}", kDeployments, http::percent_encode(id));
}

/// "installing 2, success 3": what is not zero.
std::string describe_counts(const json::value& deployment) {
  const json::object* counts = member(member(deployment, "statistics"), "status").if_object();
  std::string text;
  if (counts == nullptr) return text;
  for (const auto& [status, count] : *counts) {
    if (const std::string number = text_of(count); number != "0") {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", printable(status), number);
    }
  }
  return text;
}

std::uint64_t finals_of(const json::value& deployment) {
  const json::value& counts = member(member(deployment, "statistics"), "status");
  std::uint64_t total = 0;
  for (const char* status :
       {"success", "failure", "already-installed", "noartifact", "aborted", "decommissioned"}) {
    total += number_member(counts, status);
  }
  return total;
}

std::string seconds_between(const std::string& from, const std::string& to) {
  const auto first = from_rfc3339(from);
  const auto last = from_rfc3339(to);
  if (!first || !last) return "";
  return fmt::format("{:.1f}", std::chrono::duration<double>(*last - *first).count());
}

net::awaitable<Result<std::string>> device_table(Context& context, const std::string& id) {
  POSTERN_CO_TRY(const json::array rows, co_await context.api.list(path_of(id) + "/devices/list", kPerPage));
  Table table({"DEVICE", "STATUS", "ARTIFACT", "STARTED", "SECONDS"});
  for (const json::value& row : rows) {
    const std::string started = text_member(row, "started");
    table.add({text_member(row, "id"), text_member(row, "status"), text_member(member(row, "image"), "name"),
               started, seconds_between(started, text_member(row, "finished"))});
  }
  co_return table.text();
}

std::string head_of(const json::value& deployment) {
  return fmt::format("{:<10}{}\n{:<10}{}\n{:<10}{}\n{:<10}{}\n{:<10}{}\n", "ID",
                     text_member(deployment, "id"), "Name", text_member(deployment, "name"), "Artifact",
                     text_member(deployment, "artifact_name"), "Status", text_member(deployment, "status"),
                     "Devices", describe_counts(deployment));
}

/// A deployment did well when every target ended with the artifact on it.
bool all_succeeded(const json::value& deployment) {
  const json::value& counts = member(member(deployment, "statistics"), "status");
  return number_member(counts, "success") + number_member(counts, "already-installed") >=
         number_member(deployment, "max_devices");
}

}  // namespace

Text create_deployment(Context& context, CreateOptions options) {
  json::object body{{"name", options.name}, {"artifact_name", options.artifact}};
  if (options.all_devices) {
    body["all_devices"] = true;
  } else {
    body["devices"] = json::array(options.devices.begin(), options.devices.end());
  }
  if (options.force) body["force_installation"] = true;
  POSTERN_CO_TRY(const std::string id, co_await context.api.create(std::string(kDeployments), body));
  if (context.output == Output::json) co_return json_text({{"id", id}});
  co_return id + "\n";
}

Text list_deployments(Context& context) {
  POSTERN_CO_TRY(const json::array all, co_await context.api.list(std::string(kDeployments), kPerPage));
  if (context.output == Output::json) co_return json_text(all);
  Table table({"ID", "NAME", "ARTIFACT", "STATUS", "DEVICES", "CREATED"});
  for (const json::value& deployment : all) {
    table.add({text_member(deployment, "id"), text_member(deployment, "name"),
               text_member(deployment, "artifact_name"), text_member(deployment, "status"),
               describe_counts(deployment), text_member(deployment, "created")});
  }
  co_return table.text();
}

Text show_deployment(Context& context, std::string id) {
  POSTERN_CO_TRY(const json::value deployment, co_await context.api.get(path_of(id)));
  if (context.output == Output::json) co_return json_text(deployment);
  POSTERN_CO_TRY(const std::string devices, co_await device_table(context, id));
  co_return head_of(deployment) + "\n" + devices;
}

Text abort_deployment(Context& context, std::string id) {
  const json::value body{{"status", "aborted"}};
  POSTERN_CO_CHECK(co_await context.api.send("PUT", path_of(id) + "/status", &body));
  if (context.output == Output::json) co_return json_text({{"id", id}, {"status", "aborted"}});
  co_return fmt::format("aborted {}\n", printable(id));
}

net::awaitable<Result<WatchResult>> watch_deployment(Context& context, std::string id, Duration timeout) {
  const SteadyTime end = context.clock.now() + timeout;
  std::optional<Progress> progress;
  int failed_polls = 0;
  for (;;) {
    auto polled = co_await context.api.get(path_of(id));
    // A server that restarts meanwhile does not end the watch.
    if (!polled && (polled.error().kind == Kind::rejected || ++failed_polls > kFailedPollsMax)) {
      co_return std::move(polled).error();
    }
    if (polled) {
      failed_polls = 0;
      const json::value& deployment = *polled;
      const std::uint64_t done = finals_of(deployment);
      if (!progress) {
        progress.emplace(text_member(deployment, "name"), number_member(deployment, "max_devices"), false,
                         context.clock);
      }
      if (text_member(deployment, "status") == "finished") {
        progress->finish(done, describe_counts(deployment));
        WatchResult result{.text = {}, .all_succeeded = all_succeeded(deployment)};
        if (context.output == Output::json) {
          result.text = json_text(deployment);
        } else {
          POSTERN_CO_TRY(result.text, co_await device_table(context, id));
        }
        co_return result;
      }
      progress->update(done, describe_counts(deployment));
    }
    if (context.clock.now() >= end)
      co_return exhausted(fmt::format("deployment {} did not end in time", printable(id)));
    POSTERN_CO_CHECK(co_await context.clock.sleep(1s));
  }
}

}  // namespace postern::cli
