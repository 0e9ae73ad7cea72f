// Keeps the newest warnings and errors, to be shown to who asks how the gateway is.
#pragma once

#include <deque>
#include <mutex>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

namespace postern::gateway {

/// Hands everything on. Thread-safe.
class RecentLog final : public Log {
 public:
  static constexpr std::size_t kLinesMax = 20;
  static constexpr std::size_t kLineBytesMax = 500;

  RecentLog(Log& lower, Clock& clock) : lower_(lower), clock_(clock) {}

  struct Line {
    WallTime last;
    LogLevel level = LogLevel::warn;
    std::string text;         ///< event and fields, in logfmt
    std::uint64_t count = 1;  ///< how often the event came in a row
  };
  /// Newest first.
  std::vector<Line> lines() const;

  bool enabled(LogLevel level) const override { return lower_.enabled(level); }
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override;

 private:
  Log& lower_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::deque<Line> lines_;
  std::string last_event_;
};

}  // namespace postern::gateway
