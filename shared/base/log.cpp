#include "shared/base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace postern {
namespace {

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
          out.push_back(c);
        }
    }
  }
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  return std::ranges::any_of(text, [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f;
  });
}

std::string to_json(std::string_view event, std::initializer_list<LogField> fields) {
  std::string out = "\"event\":\"";
  append_escaped(out, event);
  out += '"';
  for (const LogField& field : fields) {
    out += fmt::format(",\"{}\":", field.name);
    if (!field.quoted) {
      out += field.value;
      continue;
    }
    out += '"';
    append_escaped(out, field.value);
    out += '"';
  }
  return out;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

class SpdLog final : public Log {
 public:
  SpdLog(LogLevel level, LogFormat format)
      : format_(format), logger_("postern", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    logger_.set_level(to_spdlog(level));
    logger_.set_pattern(format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                                  : "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v",
                        spdlog::pattern_time_type::utc);
    logger_.flush_on(spdlog::level::debug);
  }
  bool enabled(LogLevel level) const override { return logger_.should_log(to_spdlog(level)); }
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override {
    const std::string line = format_ == LogFormat::json ? to_json(event, fields) : to_logfmt(event, fields);
    logger_.log(to_spdlog(level), spdlog::string_view_t(line));
  }

 private:
  LogFormat format_;
  spdlog::logger logger_;
};

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  if (text == "debug") return LogLevel::debug;
  if (text == "info") return LogLevel::info;
  if (text == "warn" || text == "warning") return LogLevel::warn;
  if (text == "error") return LogLevel::error;
  return invalid(fmt::format("unknown log level \"{}\"; known are debug, info, warn, error", text));
}

std::string to_logfmt(std::string_view event, std::initializer_list<LogField> fields) {
  std::string out(event);
  for (const LogField& field : fields) {
    out += fmt::format(" {}=", field.name);
    if (!field.quoted || !needs_quotes(field.value)) {
      out += field.value;
      continue;
    }
    out += '"';
    append_escaped(out, field.value);
    out += '"';
  }
  return out;
}

std::unique_ptr<Log> make_stderr_log(LogLevel level, LogFormat format) {
  return std::make_unique<SpdLog>(level, format);
}

}  // namespace postern
