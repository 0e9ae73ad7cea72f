#include "gateway/control/render.hpp"

#include <boost/json.hpp>

#include "gateway/control/schedule.hpp"
#include "shared/cli/table.hpp"

namespace postern::gateway {
namespace {

namespace json = boost::json;
using cli::human_size;
using cli::printable;

/// A member, whatever it is; null where there is none.
const json::value& at(const json::value& value, std::string_view name) {
  static const json::value kNull;
  const json::object* object = value.if_object();
  const json::value* member = object == nullptr ? nullptr : object->if_contains(name);
  return member == nullptr ? kNull : *member;
}

std::string text_at(const json::value& value, std::string_view name) {
  const json::value& member = at(value, name);
  return member.is_string() ? printable(member.get_string()) : std::string();
}

std::int64_t number_at(const json::value& value, std::string_view name) {
  const json::value& member = at(value, name);
  if (member.is_int64()) return member.get_int64();
  return member.is_uint64() ? static_cast<std::int64_t>(member.get_uint64()) : 0;
}

std::uint64_t size_at(const json::value& value, std::string_view name) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_at(value, name)));
}

bool is_true(const json::value& value, std::string_view name) {
  const json::value& member = at(value, name);
  return member.is_bool() && member.get_bool();
}

const json::array& list_at(const json::value& value, std::string_view name) {
  static const json::array kEmpty;
  const json::value& member = at(value, name);
  return member.is_array() ? member.get_array() : kEmpty;
}

/// In the machine's time zone.
std::string time_at(const json::value& value, std::string_view name) {
  const auto time = from_rfc3339(text_at(value, name));
  return time ? local_text(*time) : std::string();
}

std::string size_or_unknown(std::uint64_t bytes) {
  return bytes == 0 ? "?" : human_size(bytes);
}

std::string progress_of(const json::value& artifact) {
  const std::uint64_t size = size_at(artifact, "size_bytes");
  const std::uint64_t stored = size_at(artifact, "stored_bytes");
  if (size == 0) return human_size(stored);
  return fmt::format("{} of {} ({} %)", human_size(stored), human_size(size),
                     static_cast<int>(100.0 * static_cast<double>(stored) / static_cast<double>(size)));
}

std::string section(std::string_view title, const std::string& content) {
  return content.empty() ? std::string() : fmt::format("\n{}\n{}", title, content);
}

std::string head_text(const json::value& status) {
  cli::Sheet sheet;
  sheet.add("postern-gateway", text_at(status, "version"));
  sheet.add("running", fmt::format("{}, since {}",
                                   cli::human_duration(std::chrono::seconds(number_at(status, "uptime_s"))),
                                   time_at(status, "started")));
  sheet.add("ready", is_true(status, "ready") ? "yes" : "NO");
  for (const json::value& check : list_at(status, "checks")) {
    if (is_true(check, "ok")) continue;
    sheet.add(is_true(check, "needed") ? "  not good" : "  to note",
              fmt::format("{}: {}", text_at(check, "name"), text_at(check, "error")));
  }
  sheet.add("devices bound", std::to_string(number_at(status, "devices_bound")));
  const json::value& traffic = at(status, "traffic");
  sheet.add("artifact bytes", fmt::format("{} from the upstream, {} to devices",
                                          human_size(size_at(traffic, "uplink_artifact_bytes")),
                                          human_size(size_at(traffic, "site_artifact_bytes"))));
  const json::value& cache = at(status, "cache");
  sheet.add("cache", !is_true(cache, "enabled")
                         ? "off"
                         : fmt::format("{} of {}, {} artifacts, {} complete, {} refused",
                                       human_size(size_at(cache, "used_bytes")),
                                       human_size(size_at(cache, "bytes_max")), number_at(cache, "artifacts"),
                                       number_at(cache, "complete"), number_at(cache, "refused")));
  return sheet.text();
}

std::string listeners_text(const json::value& status) {
  cli::Table table({"LISTENER", "ADDRESS", "CONNECTIONS"});
  for (const json::value& listener : list_at(status, "listeners")) {
    table.add({text_at(listener, "name"), text_at(listener, "address"),
               std::to_string(number_at(listener, "connections"))});
  }
  return list_at(status, "listeners").empty() ? "" : "\n" + table.text();
}

std::string upstreams_text(const json::value& status) {
  cli::Table table({"UPSTREAM", "STATE", "SINCE"});
  for (const json::value& upstream : list_at(status, "upstreams")) {
    const bool is_known = at(upstream, "up").is_bool();
    table.add({text_at(upstream, "url"),
               !is_known                 ? "not asked yet"
               : is_true(upstream, "up") ? "up"
                                         : "DOWN",
               time_at(upstream, "since")});
  }
  return list_at(status, "upstreams").empty() ? "" : "\n" + table.text();
}

std::string certificates_text(const json::value& status) {
  cli::Table table({"CERTIFICATE", "SUBJECT", "ENDS", "DAYS LEFT"});
  for (const json::value& certificate : list_at(status, "certificates")) {
    const std::int64_t days = number_at(certificate, "days_left");
    table.add({text_at(certificate, "which"), text_at(certificate, "subject"),
               time_at(certificate, "expires"), days < 0 ? "EXPIRED" : std::to_string(days)});
  }
  return list_at(status, "certificates").empty() ? "" : "\n" + table.text();
}

std::string fills_text(const json::value& status) {
  cli::Table table({"ARTIFACT", "STATE", "PROGRESS", "READERS"});
  for (const json::value& fill : list_at(status, "fills")) {
    table.add({text_at(fill, "name"), text_at(fill, "state"), progress_of(fill),
               std::to_string(number_at(fill, "readers"))});
  }
  return list_at(status, "fills").empty() ? "" : "\n" + table.text();
}

std::string recent_text(const json::value& status) {
  std::string text;
  for (const json::value& line : list_at(status, "recent")) {
    const std::int64_t count = number_at(line, "count");
    text += fmt::format("{} {} {}{}\n", time_at(line, "time"), text_at(line, "level"), text_at(line, "text"),
                        count > 1 ? fmt::format(" ({} times)", count) : "");
  }
  return text;
}

std::string state_of(const json::value& artifact) {
  std::string state = text_at(artifact, "state");
  if (is_true(artifact, "pinned")) state += ", pinned";
  return state;
}

}  // namespace

std::string status_text(const json::value& status) {
  std::string text = head_text(status) + listeners_text(status) + upstreams_text(status) +
                     certificates_text(status) + fills_text(status);
  if (!list_at(status, "prefetches").empty()) text += "\n" + prefetches_text(status);
  return text + section("Last warnings and errors:", recent_text(status));
}

std::string cache_text(const json::value& cache) {
  const json::array& artifacts = list_at(cache, "artifacts");
  if (artifacts.empty()) return "Nothing is here yet.\n";
  cli::Table table({"NAME", "STATE", "STORED", "SIZE", "READERS", "LAST USED", "KEY"});
  std::string refusals;
  for (const json::value& artifact : artifacts) {
    table.add({text_at(artifact, "name"), state_of(artifact), human_size(size_at(artifact, "stored_bytes")),
               size_or_unknown(size_at(artifact, "size_bytes")),
               std::to_string(number_at(artifact, "readers")), time_at(artifact, "last_used"),
               text_at(artifact, "key")});
    const json::value& refusal = at(artifact, "refusal");
    if (!refusal.is_object()) continue;
    const std::string retry = time_at(refusal, "retry_at");
    refusals +=
        fmt::format("{} was refused {} times: {}; {}\n", text_at(artifact, "name"),
                    number_at(refusal, "count"), text_at(refusal, "reason"),
                    retry.empty() ? "fetched again once it is evicted" : "fetched again after " + retry);
  }
  return table.text() + (refusals.empty() ? "" : "\n" + refusals);
}

std::string verify_text(const json::value& reports) {
  const json::array& all = list_at(reports, "reports");
  if (all.empty()) return "Nothing is here to verify.\n";
  cli::Table table({"NAME", "RESULT", "CHECKED", "BAD CHUNKS", "MISSING CHUNKS", "ERROR"});
  for (const json::value& report : all) {
    table.add({text_at(report, "name"), is_true(report, "ok") ? "good" : "BAD",
               human_size(size_at(report, "checked_bytes")), std::to_string(number_at(report, "bad_chunks")),
               std::to_string(number_at(report, "missing_chunks")), text_at(report, "error")});
  }
  return table.text();
}

std::string prefetches_text(const json::value& prefetches) {
  const json::array& all = list_at(prefetches, "prefetches");
  if (all.empty()) return "There are no prefetches.\n";
  cli::Table table({"PREFETCH", "WHAT", "STATE", "PROGRESS", "NEXT", "DAILY", "ERROR"});
  for (const json::value& prefetch : all) {
    table.add({std::to_string(number_at(prefetch, "id")), text_at(prefetch, "what"),
               text_at(prefetch, "state"),
               text_at(prefetch, "state") == "fetching" ? progress_of(prefetch) : "",
               time_at(prefetch, "next"), text_at(prefetch, "daily"), text_at(prefetch, "error")});
  }
  return table.text();
}

}  // namespace postern::gateway
