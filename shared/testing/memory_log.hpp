// A log that a test can look into.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "shared/base/log.hpp"

namespace postern::testing {

class MemoryLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view event, std::initializer_list<LogField> fields) override {
    const std::scoped_lock lock(mutex_);
    lines_.push_back(to_logfmt(event, fields));
  }
  /// The lines so far, each in logfmt.
  std::vector<std::string> lines() const {
    const std::scoped_lock lock(mutex_);
    return lines_;
  }
  /// How many lines begin with this event's name.
  std::size_t count(std::string_view event) const {
    const std::scoped_lock lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count_if(lines_, [&](const std::string& line) {
      return line == event || line.starts_with(std::string(event) + " ");
    }));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace postern::testing
