// Structured logging: one event per line, its name first, then fields.
//
//   log.warn("http.accept_failed", {{"error", text}, {"retry_in_ms", 100}});
//
// Event names are "<component>.<what happened>" in the past tense. Field names are the same everywhere:
// device, deployment, artifact, request, took_ms, size_bytes, kind, error. Never keys, tokens, passwords or
// payloads.
#pragma once

#include <concepts>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"

namespace postern {

enum class LogLevel { debug, info, warn, error };

Result<LogLevel> parse_log_level(std::string_view text);

/// One field of an event.
struct LogField {
  LogField(std::string_view field_name, std::string_view text)
      : name(field_name), value(text), quoted(true) {}
  LogField(std::string_view field_name, const char* text) : LogField(field_name, std::string_view(text)) {}
  LogField(std::string_view field_name, const std::string& text)
      : LogField(field_name, std::string_view(text)) {}
  LogField(std::string_view field_name, bool yes) : name(field_name), value(yes ? "true" : "false") {}
  template <std::integral T>
  LogField(std::string_view field_name, T number) : name(field_name), value(std::to_string(number)) {}

  std::string_view name;
  std::string value;
  bool quoted = false;  ///< a text: quoted where the format needs it
};

/// Where events go. Thread-safe.
class Log {
 public:
  virtual ~Log() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) = 0;

  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::debug)) write(LogLevel::debug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::info)) write(LogLevel::info, event, fields);
  }
  void warn(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::warn)) write(LogLevel::warn, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::error)) write(LogLevel::error, event, fields);
  }
};

enum class LogFormat {
  logfmt,  ///< time level event name=value ...
  json,    ///< one JSON object per line
};

/// Writes to standard error. Control characters in values are escaped, so that one event stays one line.
std::unique_ptr<Log> make_stderr_log(LogLevel level, LogFormat format);

/// The event and its fields in logfmt, without time and level. For tests and for the loggers.
std::string to_logfmt(std::string_view event, std::initializer_list<LogField> fields);

/// Drops everything.
class NullLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

}  // namespace postern
