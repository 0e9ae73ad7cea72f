#include "gateway/control/commands.hpp"

#include <boost/json.hpp>

#include "gateway/control/render.hpp"
#include "gateway/control/schedule.hpp"
#include "shared/cli/table.hpp"
#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

namespace json = boost::json;

constexpr Duration kFollowInterval = std::chrono::milliseconds(500);

json::value choice_of(const CommandOptions& options) {
  json::object choice{{"force", options.force}};
  if (!options.artifacts.empty()) {
    choice["artifacts"] = json::array(options.artifacts.begin(), options.artifacts.end());
  }
  return choice;
}

std::int64_t number(const json::value& answer, std::string_view name) {
  const json::object* object = answer.if_object();
  const json::value* member = object == nullptr ? nullptr : object->if_contains(name);
  return member != nullptr && member->is_int64() ? member->get_int64() : 0;
}

std::string text(const json::value& answer, std::string_view name) {
  const json::object* object = answer.if_object();
  return object == nullptr ? std::string() : http::string_member(*object, name).value_or("");
}

}  // namespace

void Commands::print(const json::value& answer, const CommandOptions& options, const std::string& text) {
  out_ << (options.json ? json::serialize(answer) + "\n" : text);
}

Result<int> Commands::show(const std::string& path, const CommandOptions& options, Text text) {
  POSTERN_TRY(const json::value answer, client_.ask("GET", path));
  print(answer, options, text(answer));
  return 0;
}

Result<int> Commands::status(const CommandOptions& options) {
  return show("/v1/status", options, status_text);
}

Result<int> Commands::list_cache(const CommandOptions& options) {
  return show("/v1/cache", options, cache_text);
}

Result<int> Commands::list_prefetches(const CommandOptions& options) {
  return show("/v1/prefetches", options, prefetches_text);
}

Result<int> Commands::verify(const CommandOptions& options) {
  const json::value choice = choice_of(options);
  POSTERN_TRY(const json::value answer, client_.ask("POST", "/v1/cache/verify", &choice));
  print(answer, options, verify_text(answer));
  const json::value* reports = answer.is_object() ? answer.get_object().if_contains("reports") : nullptr;
  if (reports == nullptr || !reports->is_array()) return 0;
  const bool all_good = std::ranges::all_of(reports->get_array(), [](const json::value& report) {
    const json::value* ok = report.is_object() ? report.get_object().if_contains("ok") : nullptr;
    return ok != nullptr && ok->is_bool() && ok->get_bool();
  });
  return all_good ? 0 : kFoundBad;
}

Result<int> Commands::change(std::string_view verb, std::string_view done, const CommandOptions& options) {
  const json::value choice = choice_of(options);
  POSTERN_TRY(const json::value answer, client_.ask("POST", fmt::format("/v1/cache/{}", verb), &choice));
  const json::value* changed = answer.is_object() ? answer.get_object().if_contains("changed") : nullptr;
  const std::size_t count = changed != nullptr && changed->is_array() ? changed->get_array().size() : 0;
  print(answer, options,
        fmt::format("{} {}.\n", count == 1 ? "1 artifact" : fmt::format("{} artifacts", count), done));
  return 0;
}

Result<int> Commands::pin(const CommandOptions& options) {
  return change("pin", "pinned", options);
}

Result<int> Commands::unpin(const CommandOptions& options) {
  return change("unpin", "unpinned", options);
}

Result<int> Commands::evict(const CommandOptions& options) {
  return change("evict", "evicted", options);
}

Result<int> Commands::collect(const CommandOptions& options) {
  POSTERN_TRY(const json::value answer, client_.ask("POST", "/v1/cache/gc"));
  print(answer, options,
        fmt::format(
            "{} chunks that no artifact needs removed ({}); {} given back to the disk ({} segments).\n",
            number(answer, "chunks"), cli::human_size(static_cast<std::uint64_t>(number(answer, "bytes"))),
            cli::human_size(static_cast<std::uint64_t>(number(answer, "disk_bytes"))),
            number(answer, "segments")));
  return 0;
}

Result<int> Commands::prefetch(const CommandOptions& options) {
  json::object wanted{{"what", options.what}};
  if (!options.daily.empty()) wanted["daily"] = options.daily;
  if (!options.at.empty()) {
    POSTERN_TRY(const WallTime at, parse_time(options.at, clock_.wall()));
    wanted["at"] = to_rfc3339(at);
  }
  const json::value body(std::move(wanted));
  POSTERN_TRY(const json::value answer, client_.ask("POST", "/v1/prefetches", &body));
  const std::int64_t id = number(answer, "id");
  if (options.wait) return follow(id, options);
  const auto next = from_rfc3339(text(answer, "next"));
  const bool is_now = options.at.empty() && options.daily.empty();
  print(answer, options,
        fmt::format("Prefetch {}: {}.\n", id,
                    is_now ? std::string("begins now")
                    : next ? "begins at " + local_text(*next)
                           : std::string("is scheduled")));
  return 0;
}

Result<int> Commands::follow(std::int64_t id, const CommandOptions& options) {
  std::optional<cli::Progress> progress;
  for (;;) {
    POSTERN_TRY(const json::value answer, client_.ask("GET", fmt::format("/v1/prefetches/{}", id)));
    const std::string state = text(answer, "state");
    const auto size = static_cast<std::uint64_t>(number(answer, "size_bytes"));
    const auto stored = static_cast<std::uint64_t>(number(answer, "stored_bytes"));
    if (size > 0 && !progress) {
      progress.emplace(screen_, clock_, cli::printable(options.what), size, cli::Progress::Unit::bytes);
    }
    const std::string error = cli::printable(text(answer, "error"));
    // A daily one that has come to its end waits for the next day.
    const bool has_been_begun = !text(answer, "last").empty();
    if (state == "done" || (state == "scheduled" && has_been_begun && error.empty())) {
      if (progress) progress->finish(size);
      print(answer, options, fmt::format("Prefetch {}: done, {}.\n", id, cli::human_size(size)));
      return 0;
    }
    if (state == "failed" || (state == "scheduled" && has_been_begun)) {
      progress.reset();
      print(answer, options, fmt::format("Prefetch {}: failed: {}\n", id, error));
      return kFoundBad;
    }
    if (progress) progress->update(stored, state == "retrying" ? "tried again soon: " + error : "");
    client_.wait(kFollowInterval);
  }
}

Result<int> Commands::cancel_prefetch(const CommandOptions& options) {
  POSTERN_TRY(const json::value answer, client_.ask("DELETE", fmt::format("/v1/prefetches/{}", options.id)));
  print(answer, options, fmt::format("Prefetch {}: cancelled.\n", options.id));
  return 0;
}

}  // namespace postern::gateway
