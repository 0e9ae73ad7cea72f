// How fast a deployment may go, and what keeps devices from it.
#include <boost/json.hpp>

#include <charconv>

#include "cloud/cli/commands.hpp"
#include "cloud/cli/json_text.hpp"
#include "shared/base/config.hpp"
#include "shared/cli/table.hpp"
#include "shared/http/url.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(by);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<unsigned> parse_number(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "now", "+1h", a time, or "resume".
Status add_start(std::string_view when, WallTime now, json::object& phase) {
  if (when == "resume") {
    phase["postern"].emplace_object()["paused"] = true;
    return {};
  }
  if (when == "now") return {};
  if (when.starts_with('+')) {
    POSTERN_TRY(const Duration wait, parse_duration(when.substr(1)));
    phase["start_ts"] = to_rfc3339(now + std::chrono::duration_cast<std::chrono::milliseconds>(wait));
    return {};
  }
  POSTERN_TRY(const WallTime time, from_rfc3339(when));
  phase["start_ts"] = to_rfc3339(time);
  return {};
}

Result<json::object> parse_phase(std::string_view text, bool is_last, WallTime now) {
  json::object phase;
  const std::size_t at = text.find('@');
  std::string_view size = text.substr(0, at);
  if (at != std::string_view::npos) POSTERN_CHECK(add_start(text.substr(at + 1), now, phase));
  const bool is_share = size.ends_with('%');
  if (is_share) size.remove_suffix(1);
  const auto number = parse_number(size);
  if (!number || *number == 0 || (is_share && *number > 100)) {
    return invalid(fmt::format("phase \"{}\" is not like 10%@now, 50%@+1h or 20@resume", text.substr(0, 64)));
  }
  if (is_last) return phase;  // takes all the rest
  if (is_share) {
    phase["batch_size"] = *number;
    return phase;
  }
  json::value& ours = phase["postern"];
  if (!ours.is_object()) ours.emplace_object();
  ours.get_object()["devices"] = *number;
  return phase;
}

Result<json::object> parse_failures(std::string_view text) {
  const bool is_share = text.ends_with('%');
  const auto number = parse_number(text.substr(0, text.size() - (is_share ? 1 : 0)));
  if (!number || *number == 0 || (is_share && *number > 100)) {
    return invalid(fmt::format("\"{}\" is no number of failures such as 5 or 10%", text.substr(0, 64)));
  }
  return json::object{{is_share ? "percent" : "failures", *number}};
}

Result<json::object> parse_term(std::string_view text) {
  const std::size_t equal = text.find('=');
  std::string_view name = text.substr(0, equal);
  const std::size_t slash = name.find('/');
  const std::string_view scope = slash == std::string_view::npos ? "inventory" : name.substr(0, slash);
  if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
  if (equal == std::string_view::npos || name.empty()) {
    return invalid(fmt::format("filter \"{}\" is not like room=a or identity/mac=00:11", text.substr(0, 64)));
  }
  return json::object{
      {"scope", scope}, {"attribute", name}, {"type", "$eq"}, {"value", text.substr(equal + 1)}};
}

}  // namespace

Result<json::array> parse_phases(std::string_view text, WallTime now) {
  json::array phases;
  const auto parts = split(text, ',');
  for (const std::string& part : parts) {
    POSTERN_TRY(json::object phase, parse_phase(part, &part == &parts.back(), now));
    phases.push_back(std::move(phase));
  }
  return phases;
}

bool is_planned(const CreateOptions& options) {
  return options.retries || !options.phases.empty() || !options.max_failures.empty() ||
         !options.windows.empty() || !options.site.empty() || !options.filters.empty() ||
         options.concurrent > 0 || options.concurrent_per_site > 0;
}

Status add_plan(const CreateOptions& options, WallTime now, json::object& body) {
  json::object ours;
  if (!options.phases.empty()) {
    POSTERN_TRY(body["phases"], parse_phases(options.phases, now));
  }
  if (!options.max_failures.empty()) {
    POSTERN_TRY(ours["stop_on"], parse_failures(options.max_failures));
  }
  if (!options.windows.empty()) ours["windows"] = json::array(options.windows.begin(), options.windows.end());
  if (!options.site.empty()) ours["site"] = options.site;
  json::array terms;
  for (const std::string& filter : options.filters) {
    POSTERN_TRY(json::object term, parse_term(filter));
    terms.push_back(std::move(term));
  }
  if (!terms.empty()) ours["filter"] = std::move(terms);
  if (options.concurrent > 0) ours["concurrent"] = options.concurrent;
  if (options.concurrent_per_site > 0) ours["concurrent_per_site"] = options.concurrent_per_site;
  if (!ours.empty()) body["postern"] = std::move(ours);
  return {};
}

Text steer_deployment(Context& context, std::string id, std::string status, std::string done) {
  const std::string path = fmt::format("v1/deployments/deployments/{}/status", http::percent_encode(id));
  POSTERN_CO_CHECK(
      about("deployment " + printable(id), co_await context.api.put(path, json::value{{"status", status}})));
  if (context.output == Output::json) co_return json_text({{"id", id}, {"status", status}});
  co_return fmt::format("{} {}\n", done, printable(id));
}

Text stuck_devices(Context& context) {
  POSTERN_CO_TRY(const json::value all, co_await context.api.get("v1/deployments/stuck"));
  if (context.output == Output::json) co_return json_text(all);
  Table table({"DEVICE", "STATUS", "SINCE", "DEPLOYMENT", "NAME"});
  for (const json::value& each : items(all)) {
    table.add({text_member(each, "id"), text_member(each, "status"), text_member(each, "since"),
               text_member(member(each, "deployment"), "id"),
               text_member(member(each, "deployment"), "name")});
  }
  co_return table.text();
}

Text why(Context& context, std::string device) {
  const std::string path = fmt::format("v1/deployments/devices/{}/why", http::percent_encode(device));
  POSTERN_CO_TRY(const json::value answer,
                 about("device " + printable(device), co_await context.api.get(path)));
  if (context.output == Output::json) co_return json_text(answer);
  std::string text = text_member(answer, "text") + "\n";
  if (const std::string name = text_member(member(answer, "deployment"), "name"); !name.empty()) {
    text += fmt::format("Deployment: {} ({})\n", name, text_member(member(answer, "deployment"), "id"));
  }
  co_return text;
}

}  // namespace postern::cli
