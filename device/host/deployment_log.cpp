#include "device/host/deployment_log.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "shared/device_api/go_json.hpp"
#include "shared/http/answer.hpp"

namespace postern::device {
namespace {

namespace json = boost::json;

constexpr std::string_view kNoTime = "1970-01-01T00:00:00.000000000Z";
constexpr std::string_view kCorrupted = "(CORRUPTED LOG DATA)";
constexpr std::string_view kHasInvalid = "(THE ORIGINAL LOGS CONTAINED INVALID ENTRIES)";
constexpr std::string_view kTruncated =
    "(THE ORIGINAL LOGS WERE TOO BIG, THIS LOG IS TRUNCATED. The full log can be found on the device)";
constexpr std::string_view kHead = R"({"messages":[)";
constexpr std::string_view kTail = "]}";
constexpr std::size_t kMessageBytesMax = 16 << 10;

/// With the spaces that other clients put here and nowhere else.
std::string marker(std::string_view time, std::string_view level, std::string_view message) {
  return fmt::format(R"({{"timestamp": "{}", "level": "{}", "message": "{}"}})", time, level, message);
}

/// The time of a log entry; nothing when the line is none. Servers refuse the whole log for one entry without
/// a time, level or message (device-protocol 2.6).
std::optional<std::string> time_of(std::string_view line) {
  const auto value = http::parse_json(line);
  if (!value || !value->is_object()) return std::nullopt;
  const auto text = [&](std::string_view name) {
    return http::string_member(value->get_object(), name).value_or("");
  };
  std::string time = text("timestamp");
  if (text("level").empty() || text("message").empty() || !from_rfc3339(time)) return std::nullopt;
  return time;
}

struct Entries {
  std::vector<std::string> lines;
  std::string first_time{kNoTime};
  bool has_invalid = false;
};

Entries read_entries(std::string_view text) {
  Entries entries;
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  std::vector<std::optional<std::string>> times;
  for (const std::string_view line : lines) times.push_back(time_of(line));
  const auto first = std::ranges::find_if(times, [](const auto& time) { return time.has_value(); });
  if (first != times.end()) entries.first_time = **first;
  std::string last_time = entries.first_time;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    entries.has_invalid = entries.has_invalid || !times[i];
    if (times[i]) last_time = *times[i];
    entries.lines.push_back(times[i] ? std::string(lines[i]) : marker(last_time, "ERROR", kCorrupted));
  }
  return entries;
}

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "info";
}

std::string quoted(std::string_view text) {
  return go_json(json::value(json::string_view(text.data(), text.size())));
}

/// UTC with microseconds, as other clients write it.
std::string timestamp(const Clock& clock) {
  std::string text = to_rfc3339(clock.wall());
  text.insert(text.size() - 1, "000");
  return text;
}

std::string file_name(std::size_t number, std::string_view id) {
  return fmt::format("deployments.{:04}.{}.log", number, id);
}

/// The deployment of a file name; nothing for other files.
std::optional<std::string_view> id_of(std::string_view name) {
  constexpr std::string_view kPrefix = "deployments.";
  constexpr std::string_view kSuffix = ".log";
  constexpr std::size_t kDigits = 4;
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  if (name.size() <= kPrefix.size() + kDigits + 1 + kSuffix.size()) return std::nullopt;
  const std::string_view number = name.substr(kPrefix.size(), kDigits);
  if (number.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  if (name[kPrefix.size() + kDigits] != '.') return std::nullopt;
  name.remove_prefix(kPrefix.size() + kDigits + 1);
  name.remove_suffix(kSuffix.size());
  return name;
}

}  // namespace

std::string log_upload_body(std::string_view text, std::size_t bytes_max) {
  const Entries entries = read_entries(text);
  std::vector<std::string> front;
  if (entries.has_invalid) front.push_back(marker(entries.first_time, "ERROR", kHasInvalid));
  // Each entry counts with the comma behind it.
  std::size_t size = kHead.size() + kTail.size();
  for (const std::string& one : front) size += one.size() + 1;
  std::size_t all = size;
  for (const std::string& one : entries.lines) all += one.size() + 1;
  auto kept = entries.lines.begin();
  if (all > bytes_max) {
    front.push_back(marker(entries.first_time, "WARNING", kTruncated));
    size += front.back().size() + 1;
    kept = entries.lines.end();
    while (kept != entries.lines.begin() && size + std::prev(kept)->size() + 1 <= bytes_max) {
      --kept;
      size += kept->size() + 1;
    }
  }
  std::string body(kHead);
  const auto add = [&body](const std::string& entry) {
    if (body.size() > kHead.size()) body += ',';
    body += entry;
  };
  std::ranges::for_each(front, add);
  std::for_each(kept, entries.lines.end(), add);
  body += kTail;
  return body;
}

DeploymentLog::DeploymentLog(std::string directory, std::string version, const Clock& clock, Log& next)
    : path_(std::move(directory)), version_(std::move(version)), clock_(clock), next_(next) {}

bool DeploymentLog::enabled(LogLevel level) const {
  if (next_.enabled(level)) return true;
  const std::scoped_lock lock(mutex_);
  return file_ != nullptr && level != LogLevel::debug;
}

void DeploymentLog::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (next_.enabled(level)) next_.write(level, event, fields);
  const std::scoped_lock lock(mutex_);
  if (!file_ || level == LogLevel::debug) return;
  Status written = append(level_name(level), to_logfmt(event, fields));
  if (written && size_ > kFileBytesMax) written = shorten();
  if (!written) give_up(written.error());
}

void DeploymentLog::begin(const std::string& deployment_id) {
  const std::scoped_lock lock(mutex_);
  file_.reset();
  if (const Status opened = open(deployment_id); !opened) give_up(opened.error());
}

void DeploymentLog::end() {
  const std::scoped_lock lock(mutex_);
  if (!file_) return;
  if (const Status synced = file_->sync(); !synced) give_up(synced.error());
  file_.reset();
}

Result<std::string> DeploymentLog::body() {
  const std::scoped_lock lock(mutex_);
  if (!file_) return not_found("there is no log of this deployment");
  POSTERN_TRY(const std::string text, read_from(0));
  return log_upload_body(text);
}

Status DeploymentLog::open(const std::string& deployment_id) {
  name_ = file_name(0, deployment_id);
  POSTERN_TRY(directory_, open_directory(path_));
  POSTERN_TRY(const auto names, directory_->list());
  if (std::ranges::find(names, name_) == names.end()) {
    POSTERN_CHECK(rotate(names));
    return make(name_, deployment_id);
  }
  POSTERN_TRY(file_, directory_->open(name_));
  POSTERN_TRY(size_, file_->size());
  if (size_ == 0) return {};
  POSTERN_TRY(const std::string last, read_from(size_ - 1));
  // A power cut may have left half a line.
  return last == "\n" ? Status{} : append_text("\n");
}

Status DeploymentLog::make(const std::string& name, const std::string& deployment_id) {
  POSTERN_TRY(const std::uint64_t free_bytes, directory_->free_bytes());
  if (free_bytes < kFreeBytesMin)
    return exhausted(fmt::format("only {} bytes are free in {}", free_bytes, path_));
  POSTERN_TRY(file_, directory_->create(name));
  size_ = 0;
  POSTERN_CHECK(directory_->sync());
  POSTERN_CHECK(append("info", fmt::format("Running postern-device {}", version_)));
  return append("info", fmt::format("Deployment with ID {} started.", deployment_id));
}

Status DeploymentLog::rotate(const std::vector<std::string>& names) {
  std::vector<std::string> logs;  // sorted as `names` are: the newest first
  std::ranges::copy_if(names, std::back_inserter(logs),
                       [](const auto& name) { return id_of(name).has_value(); });
  for (std::size_t i = logs.size(); i-- > 0;) {
    if (i + 1 >= kFilesMax) {
      POSTERN_CHECK(directory_->remove(logs[i]));
    } else if (const std::string to = file_name(i + 1, *id_of(logs[i])); to != logs[i]) {
      POSTERN_CHECK(directory_->rename(logs[i], to));
    }
  }
  return {};
}

Status DeploymentLog::append(std::string_view level, std::string_view message) {
  return append_text(fmt::format("{{\"timestamp\":\"{}\",\"level\":\"{}\",\"message\":{}}}\n",
                                 timestamp(clock_), level, quoted(message.substr(0, kMessageBytesMax))));
}

Status DeploymentLog::append_text(std::string_view text) {
  POSTERN_CHECK(file_->write_at(size_, as_bytes(text)));
  size_ += text.size();
  return {};
}

Result<std::string> DeploymentLog::read_from(std::uint64_t offset) {
  std::string text(size_ - offset, '\0');
  POSTERN_TRY(const std::size_t count, file_->read_at(offset, std::as_writable_bytes(std::span(text))));
  text.resize(count);
  return text;
}

Status DeploymentLog::shorten() {
  POSTERN_TRY(std::string text, read_from(size_ - kLogBodyBytesMax));
  text.erase(0, text.find('\n') + 1);
  text.insert(0, marker(timestamp(clock_), "WARNING", kTruncated) + "\n");
  file_.reset();
  POSTERN_CHECK(write_file(path_ + "/" + name_, text, 0600, Existing::replace));
  POSTERN_TRY(file_, directory_->open(name_));
  size_ = text.size();
  return {};
}

void DeploymentLog::give_up(const Error& error) {
  file_.reset();
  next_.warn("deployment_log.failed", {{"path", path_ + "/" + name_}, {"error", error.what}});
}

}  // namespace postern::device
