#include "cloud/api/management/deployment_order.hpp"

#include "cloud/inventory/filter.hpp"
#include "shared/http/answer.hpp"

namespace postern::cloud::management {
namespace {

namespace json = boost::json;

constexpr std::size_t kNameCharactersMax = 256;
constexpr std::size_t kArtifactNameCharactersMax = 4096;

Error refusal(std::string_view what) {
  return invalid(fmt::format("Validating request body: {}", what));
}

Result<bool> flag_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return false;
  if (!value->is_bool()) return refusal(fmt::format("{} is not a boolean", name));
  return value->get_bool();
}

Status check_name(std::string_view field, const std::string& name, std::size_t characters_max) {
  if (name.empty()) return refusal(fmt::format("{}: cannot be blank.", field));
  if (name.size() <= characters_max) return {};
  return refusal(fmt::format("{}: the length must be between 1 and {}.", field, characters_max));
}

Result<std::vector<std::string>> devices_member(const json::object& object) {
  const json::value* value = object.if_contains("devices");
  if (value == nullptr || value->is_null()) return std::vector<std::string>{};
  if (!value->is_array()) return refusal("devices: must be an array of device ids");
  std::vector<std::string> ids;
  for (const json::value& id : value->get_array()) {
    if (!id.is_string() || id.get_string().empty() || id.get_string().size() > kNameCharactersMax) {
      return refusal("devices: must be an array of device ids");
    }
    ids.emplace_back(id.get_string());
  }
  return ids;
}

Result<DeploymentOrder> decode_basics(const json::object& object) {
  DeploymentOrder order;
  POSTERN_TRY(order.name, http::string_member(object, "name"));
  POSTERN_TRY(order.artifact_name, http::string_member(object, "artifact_name"));
  POSTERN_TRY(order.device_ids, devices_member(object));
  POSTERN_TRY(order.all_devices, flag_member(object, "all_devices"));
  POSTERN_TRY(order.force_installation, flag_member(object, "force_installation"));
  POSTERN_CHECK(check_name("name", order.name, kNameCharactersMax));
  POSTERN_CHECK(check_name("artifact_name", order.artifact_name, kArtifactNameCharactersMax));
  return order;
}

/// Absent is 0.
Result<std::uint32_t> number_member(const json::object& object, std::string_view name, std::uint32_t max) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return 0U;
  // Clients in JavaScript write whole numbers as they like: 10 or 10.0.
  boost::system::error_code error;
  const auto number = value->is_number() ? value->to_number<std::uint32_t>(error) : 0U;
  if (!value->is_number() || error || number > max) {
    return refusal(fmt::format("{}: must be a whole number between 0 and {}.", name, max));
  }
  return number;
}

Result<std::optional<WallTime>> time_member(const json::object& object, std::string_view name) {
  POSTERN_TRY(const std::string text, http::string_member(object, name));
  if (text.empty()) return std::nullopt;
  const auto time = from_rfc3339(text);
  if (!time) return refusal(fmt::format("{}: must be a time such as 2026-01-02T03:04:05Z", name));
  return *time;
}

/// A member that is an object; empty when it is absent.
Result<json::object> object_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return json::object{};
  if (!value->is_object()) return refusal(fmt::format("{}: must be an object", name));
  return value->get_object();
}

Result<json::array> array_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return json::array{};
  if (!value->is_array()) return refusal(fmt::format("{}: must be an array", name));
  return value->get_array();
}

constexpr std::uint32_t kDevicesMax = 100'000'000;
constexpr std::uint32_t kSecondsMax = 366 * 24 * 3600;
constexpr std::uint32_t kRetriesMax = 100;

Result<std::vector<rollout::Phase>> decode_phases(const json::object& body) {
  POSTERN_TRY(const json::array array, array_member(body, "phases"));
  std::vector<rollout::Phase> phases;
  for (const json::value& item : array) {
    if (!item.is_object()) return refusal("phases: must be an array of objects");
    const json::object& object = item.get_object();
    POSTERN_TRY(const json::object ours, object_member(object, "postern"));
    rollout::Phase phase{.id = std::to_string(phases.size() + 1)};
    POSTERN_TRY(phase.percent, number_member(object, "batch_size", 100));
    POSTERN_TRY(phase.size, number_member(ours, "devices", kDevicesMax));
    POSTERN_TRY(phase.start, time_member(object, "start_ts"));
    POSTERN_TRY(phase.waits_for_resume, flag_member(ours, "paused"));
    phases.push_back(std::move(phase));
  }
  return phases;
}

Result<rollout::StopRule> decode_stop_rule(const json::object& ours) {
  POSTERN_TRY(const json::object object, object_member(ours, "stop_on"));
  rollout::StopRule rule;
  POSTERN_TRY(rule.failures, number_member(object, "failures", kDevicesMax));
  POSTERN_TRY(rule.percent, number_member(object, "percent", 100));
  POSTERN_TRY(rule.last, number_member(object, "last", rollout::StopRule::kLastMax));
  POSTERN_TRY(const std::uint32_t seconds, number_member(object, "within_seconds", kSecondsMax));
  POSTERN_TRY(rule.sample_min, number_member(object, "sample_min", kDevicesMax));
  rule.within = std::chrono::seconds(seconds);
  if (rule.last > 0 && seconds > 0) return refusal("stop_on: last and within_seconds do not go together");
  if (rule.is_off())
    return object.empty() ? Result<rollout::StopRule>(rollout::StopRule{})
                          : refusal("stop_on: needs failures or percent");
  // A share of very few says little.
  constexpr std::uint32_t kSample = 10;
  if (rule.sample_min == 0) rule.sample_min = rule.last > 0 ? std::min(kSample, rule.last) : kSample;
  if (rule.last > 0 && rule.sample_min > rule.last) return refusal("stop_on: sample_min is more than last");
  return rule;
}

Status decode_ours(const json::object& ours, DeploymentOrder& order) {
  POSTERN_TRY(order.site, http::string_member(ours, "site"));
  if (order.site.size() > kNameCharactersMax) return refusal("site: is too long");
  POSTERN_TRY(const json::array terms, array_member(ours, "filter"));
  if (!terms.empty()) {
    POSTERN_TRY(const Filter filter, parse_filter(terms));
    order.filter_json = json::serialize(cloud::to_json(filter));
  }
  POSTERN_TRY(const json::array windows, array_member(ours, "windows"));
  std::vector<std::string> texts;
  for (const json::value& window : windows) {
    if (!window.is_string()) return refusal("windows: must be an array of texts");
    texts.emplace_back(window.get_string());
  }
  auto parsed = rollout::Windows::parse(texts);
  if (!parsed) return refusal(parsed.error().what);
  order.plan.windows = *std::move(parsed);
  POSTERN_TRY(order.plan.concurrent, number_member(ours, "concurrent", kDevicesMax));
  POSTERN_TRY(order.plan.concurrent_per_site, number_member(ours, "concurrent_per_site", kDevicesMax));
  POSTERN_TRY(const std::uint32_t stuck, number_member(ours, "stuck_after_seconds", kSecondsMax));
  order.stuck_after = std::chrono::seconds(stuck);
  POSTERN_TRY(order.plan.stop, decode_stop_rule(ours));
  POSTERN_TRY(const auto start, time_member(ours, "start"));
  if (!start) return {};
  if (order.plan.phases.empty()) order.plan.phases.push_back({.id = "1"});
  if (!order.plan.phases.front().start) order.plan.phases.front().start = start;
  return {};
}

/// The order's members are only this much apart: one way to say who is meant.
Status check_targets(const DeploymentOrder& order) {
  const bool is_dynamic = !order.site.empty() || !order.filter_json.empty();
  if (order.all_devices && !order.device_ids.empty()) {
    return refusal("list of devices provided togheter with all_devices flag");
  }
  if (is_dynamic && (order.all_devices || !order.device_ids.empty())) {
    return refusal("site and filter do not go together with devices or all_devices");
  }
  if (!is_dynamic && !order.all_devices && order.device_ids.empty()) {
    return refusal("Invalid deployments definition: provide list of devices or set all_devices flag");
  }
  return {};
}

Result<const json::object*> as_object(const json::value& body) {
  const json::object* object = body.if_object();
  if (object == nullptr) return refusal("not a JSON object");
  return object;
}

}  // namespace

Result<DeploymentOrder> decode_order(const json::value& body) {
  POSTERN_TRY(const json::object* object, as_object(body));
  POSTERN_TRY(DeploymentOrder order, decode_basics(*object));
  POSTERN_CHECK(check_targets(order));
  return order;
}

Result<DeploymentOrder> decode_planned_order(const json::value& body) {
  POSTERN_TRY(const json::object* object, as_object(body));
  POSTERN_TRY(DeploymentOrder order, decode_basics(*object));
  POSTERN_TRY(order.plan.phases, decode_phases(*object));
  POSTERN_TRY(order.plan.retries, number_member(*object, "retries", kRetriesMax));
  POSTERN_TRY(order.plan.max_devices, number_member(*object, "max_devices", kDevicesMax));
  POSTERN_TRY(const json::object ours, object_member(*object, "postern"));
  POSTERN_CHECK(decode_ours(ours, order));
  POSTERN_CHECK(check_targets(order));
  return order;
}

}  // namespace postern::cloud::management
