#include "gateway/control/recent_log.hpp"

namespace postern::gateway {

void RecentLog::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  lower_.write(level, event, fields);
  if (level < LogLevel::warn) return;
  std::string text = to_logfmt(event, fields);
  if (text.size() > kLineBytesMax) text = text.substr(0, kLineBytesMax) + "…";
  const std::lock_guard lock(mutex_);
  if (!lines_.empty() && last_event_ == event) {
    Line& line = lines_.front();
    line = {.last = clock_.wall(),
            .level = std::max(level, line.level),
            .text = std::move(text),
            .count = line.count + 1};
    return;
  }
  last_event_ = event;
  lines_.push_front({.last = clock_.wall(), .level = level, .text = std::move(text)});
  if (lines_.size() > kLinesMax) lines_.pop_back();
}

std::vector<RecentLog::Line> RecentLog::lines() const {
  const std::lock_guard lock(mutex_);
  return {lines_.begin(), lines_.end()};
}

}  // namespace postern::gateway
