#include "gateway/control/status.hpp"

#include <boost/json.hpp>

#include "gateway/control/schedule.hpp"

namespace postern::gateway {
namespace {

namespace json = boost::json;

template <class T, class F>
json::array list_of(const std::vector<T>& all, F describe) {
  json::array list;
  for (const T& one : all) list.push_back(describe(one));
  return list;
}

json::value time_or_null(const std::optional<WallTime>& time) {
  return time ? json::value(to_rfc3339(*time)) : json::value(nullptr);
}

std::string_view to_string(LogLevel level) {
  return level == LogLevel::error ? "error" : "warn";
}

json::object describe(const Readiness::Finding& finding) {
  json::object check{
      {"name", finding.name}, {"ok", finding.status.has_value()}, {"needed", finding.need == Need::needed}};
  if (!finding.status) check["error"] = finding.status.error().what;
  return check;
}

json::object describe_cache(const GatewayStatus& status) {
  const auto count = [&](KeptState state) {
    return std::ranges::count(status.artifacts, state, &KeptArtifact::state);
  };
  return {{"enabled", status.caches},
          {"used_bytes", status.cache_used_bytes},
          {"bytes_max", status.cache_bytes_max},
          {"artifacts", status.artifacts.size()},
          {"complete", count(KeptState::complete)},
          {"refused", count(KeptState::refused)}};
}

json::array describe_fills(const std::vector<KeptArtifact>& artifacts) {
  json::array fills;
  for (const KeptArtifact& artifact : artifacts) {
    if (artifact.state == KeptState::filling || artifact.state == KeptState::waiting) {
      fills.push_back(to_json(artifact));
    }
  }
  return fills;
}

}  // namespace

json::object to_json(const GatewayStatus& status) {
  const auto days_left = [&](WallTime end) {
    return std::chrono::floor<std::chrono::days>(end - status.now).count();
  };
  return {
      {"version", status.version},
      {"pid", status.pid},
      {"started", to_rfc3339(status.started)},
      {"uptime_s", status.uptime / std::chrono::seconds(1)},
      {"ready", Readiness::is_ready(status.findings)},
      {"checks", list_of(status.findings, describe)},
      {"listeners", list_of(status.listeners,
                            [](const GatewayStatus::Listener& listener) {
                              return json::object{{"name", listener.name},
                                                  {"address", listener.address},
                                                  {"connections", listener.connections}};
                            })},
      {"upstreams", list_of(status.upstreams,
                            [](const GatewayStatus::UpstreamServer& upstream) {
                              return json::object{{"url", upstream.url},
                                                  {"up", upstream.is_up ? json::value(*upstream.is_up)
                                                                        : json::value(nullptr)},
                                                  {"since", time_or_null(upstream.since)}};
                            })},
      {"certificates", list_of(status.certificates,
                               [&](const GatewayStatus::DatedCertificate& certificate) {
                                 return json::object{{"which", certificate.which},
                                                     {"subject", certificate.subject},
                                                     {"expires", to_rfc3339(certificate.expires)},
                                                     {"days_left", days_left(certificate.expires)}};
                               })},
      {"devices_bound", status.devices_bound},
      {"cache", describe_cache(status)},
      {"fills", describe_fills(status.artifacts)},
      {"prefetches", list_of(status.prefetches,
                             [&](const Prefetch& prefetch) { return to_json(prefetch, status.artifacts); })},
      {"traffic",
       {{"uplink_artifact_bytes", status.traffic.uplink_artifact_bytes},
        {"site_artifact_bytes", status.traffic.site_artifact_bytes}}},
      {"recent", list_of(status.recent, [](const RecentLog::Line& line) {
         return json::object{{"time", to_rfc3339(line.last)},
                             {"level", to_string(line.level)},
                             {"text", line.text},
                             {"count", line.count}};
       })}};
}

json::object to_json(const KeptArtifact& artifact) {
  json::object described{{"key", to_text(artifact.key)},          {"name", artifact.name},
                         {"artifact_id", artifact.artifact_id},   {"group", artifact.group},
                         {"state", to_string(artifact.state)},    {"size_bytes", artifact.size_bytes},
                         {"stored_bytes", artifact.stored_bytes}, {"verified", artifact.is_verified},
                         {"pinned", artifact.is_pinned},          {"readers", artifact.readers}};
  if (artifact.digest) described["sha256"] = to_hex(*artifact.digest);
  if (artifact.last_used != WallTime()) described["last_used"] = to_rfc3339(artifact.last_used);
  if (artifact.refusals > 0) {
    described["refusal"] = {{"reason", artifact.refusal},
                            {"count", artifact.refusals},
                            {"retry_at", time_or_null(artifact.retry_at)}};
  }
  return described;
}

json::object to_json(const VerifyReport& report) {
  return {{"key", to_text(report.key)},
          {"name", report.name},
          {"ok", report.error.empty()},
          {"checked_bytes", report.checked_bytes},
          {"bad_chunks", report.bad_chunks},
          {"missing_chunks", report.missing_chunks},
          {"error", report.error}};
}

json::object to_json(const Prefetch& prefetch, const std::vector<KeptArtifact>& kept) {
  json::object described{{"id", prefetch.id},
                         {"what", prefetch.what},
                         {"state", to_string(prefetch.state)},
                         {"last", time_or_null(prefetch.last)}};
  if (prefetch.daily) described["daily"] = minute_of_day_text(*prefetch.daily);
  if (prefetch.state == PrefetchState::scheduled || prefetch.state == PrefetchState::retrying) {
    described["next"] = to_rfc3339(prefetch.next);
  }
  if (prefetch.attempts > 0) described["attempts"] = prefetch.attempts;
  if (!prefetch.error.empty()) described["error"] = prefetch.error;
  std::uint64_t size = 0;
  std::uint64_t stored = 0;
  for (const ArtifactKey& key : prefetch.keys) {
    const auto found = std::ranges::find(kept, key, &KeptArtifact::key);
    if (found == kept.end()) continue;
    size += found->size_bytes;
    stored += found->stored_bytes;
  }
  described["artifacts"] =
      list_of(prefetch.keys, [](const ArtifactKey& key) { return json::string(to_text(key)); });
  described["size_bytes"] = size;
  described["stored_bytes"] = stored;
  return described;
}

}  // namespace postern::gateway
