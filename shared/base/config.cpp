#include "shared/base/config.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include <fmt/ranges.h>
#include <boost/json/array.hpp>
#include <boost/json/stream_parser.hpp>
#include <boost/json/string.hpp>

namespace postern {
namespace {

namespace json = boost::json;

constexpr std::size_t kDepthMax = 32;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}

/// The member of that name, or else one whose name differs in letter case only.
json::object::const_iterator find_member(const json::object& object, std::string_view name) {
  if (const auto* const exact = object.find(json::string_view(name.data(), name.size()));
      exact != object.end()) {
    return exact;
  }
  return std::ranges::find_if(object, [name](const json::key_value_pair& member) {
    return equal_without_case({member.key().data(), member.key().size()}, name);
  });
}

std::string place(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = std::ranges::count(before, '\n') + 1;
  const auto line_start = before.rfind('\n');
  const std::size_t column = line_start == std::string_view::npos ? offset + 1 : offset - line_start;
  return fmt::format("line {}, column {}", line, column);
}

Result<json::object> parse_object(std::string_view text, std::string_view source) {
  if (text.size() > ConfigReader::kTextBytesMax) {
    return rejected(Reason::too_large,
                    fmt::format("{}: larger than {} bytes", source, ConfigReader::kTextBytesMax));
  }
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return json::object();
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::stream_parser parser({}, options);
  json::error_code error;
  std::size_t read = parser.write_some(text.data(), text.size(), error);
  if (!error && read < text.size()) error = json::make_error_code(json::error::extra_data);
  if (!error) parser.finish(error);
  if (error) {
    return invalid(fmt::format("{}: {}: {}", source, place(text, read), error.message()));
  }
  json::value value = parser.release();
  if (!value.is_object()) return invalid(fmt::format("{}: the root is no object", source));
  return std::move(value.get_object());
}

std::string_view kind_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "unknown";
}

std::optional<bool> parse_boolean(std::string_view text) {
  for (const std::string_view word : {"true", "1", "yes", "on"}) {
    if (equal_without_case(text, word)) return true;
  }
  for (const std::string_view word : {"false", "0", "no", "off"}) {
    if (equal_without_case(text, word)) return false;
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const auto start = text.find_first_not_of(", ");
    if (start == std::string_view::npos) return out;
    text.remove_prefix(start);
    const auto end = std::min(text.find_first_of(", "), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

/// Nothing beyond what a Duration holds.
std::optional<Duration> from_seconds(double seconds) {
  constexpr double kSecondsMax = 9.2e9;
  if (!(std::abs(seconds) <= kSecondsMax)) return std::nullopt;
  return Duration(std::llround(seconds * 1e9));
}

struct DurationUnit {
  std::string_view name;
  double seconds;
};
/// "ms" before "m", because the first that matches is taken.
constexpr std::array kDurationUnits{DurationUnit{"ms", 1e-3}, DurationUnit{"s", 1}, DurationUnit{"m", 60},
                                    DurationUnit{"h", 3600}, DurationUnit{"d", 86400}};

}  // namespace

Environment system_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Result<Duration> parse_duration(std::string_view text) {
  const Error malformed =
      invalid(fmt::format("\"{}\" is no duration such as 30m or 1h30m", text.substr(0, 64)));
  std::string_view rest = text;
  double seconds = 0;
  bool has_unit = true;
  do {
    // A part without a unit is the only one, and of seconds.
    if (rest.empty() || rest.front() < '0' || rest.front() > '9' || !has_unit) return malformed;
    double number = 0;
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc{}) return malformed;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const auto unit = std::ranges::find_if(
        kDurationUnits, [rest](const DurationUnit& one) { return rest.starts_with(one.name); });
    has_unit = unit != kDurationUnits.end();
    if (has_unit) rest.remove_prefix(unit->name.size());
    if (!has_unit && seconds > 0) return malformed;
    seconds += has_unit ? number * unit->seconds : number;
  } while (!rest.empty());
  const auto duration = from_seconds(seconds);
  if (!duration) return malformed;
  return *duration;
}

ConfigReader::ConfigReader(json::object root, std::string source, Environment environment)
    : root_(std::move(root)), source_(std::move(source)), environment_(std::move(environment)) {}

Result<ConfigReader> ConfigReader::from_text(std::string_view text, std::string source,
                                             Environment environment) {
  POSTERN_TRY(auto root, parse_object(text, source));
  return ConfigReader(std::move(root), std::move(source), std::move(environment));
}

Status ConfigReader::overlay(std::string_view text, std::string source) {
  POSTERN_TRY(const auto over, parse_object(text, source));
  for (const auto& member : over) {
    const auto* const old = find_member(root_, {member.key().data(), member.key().size()});
    if (old != root_.end()) root_.erase(old);
    root_.insert_or_assign(member.key(), member.value());
  }
  source_ = source_ + ", " + source;
  return {};
}

const json::value* ConfigReader::find(std::string_view path) {
  const json::object* object = scope_ != nullptr ? scope_ : &root_;
  std::string walked = prefix_;
  while (true) {
    const auto dot = path.find('.');
    const auto* const member = find_member(*object, path.substr(0, dot));
    if (member == object->end()) return nullptr;
    const json::value& value = member->value();
    asked_.insert(&value);
    if (value.is_null()) return nullptr;
    if (dot == std::string_view::npos) return &value;
    walked.append(path.substr(0, dot));
    if (!value.is_object()) {
      // Told once, however many keys are looked for below it.
      const auto problem =
          fmt::format("{}: {}: an object is expected, not {}", source_, walked, kind_of(value));
      if (std::ranges::find(problems_, problem) == problems_.end()) problems_.push_back(problem);
      return nullptr;
    }
    walked.push_back('.');
    object = &value.get_object();
    path.remove_prefix(dot + 1);
  }
}

std::optional<std::string> ConfigReader::from_environment(std::string_view variable) const {
  if (variable.empty() || !environment_) return std::nullopt;
  auto value = environment_(variable);
  if (value && value->empty()) return std::nullopt;
  return value;
}

void ConfigReader::fail(std::string_view path, std::string_view what) {
  problems_.push_back(fmt::format("{}: {}{}: {}", source_, prefix_, path, what));
}

void ConfigReader::wrong_type(std::string_view path, std::string_view expected, const json::value& found) {
  fail(path, fmt::format("{} is expected, not {}", expected, kind_of(found)));
}

void ConfigReader::wrong_variable(std::string_view variable, std::string_view expected) {
  problems_.push_back(fmt::format("environment variable {}: {} is expected", variable, expected));
}

void ConfigReader::string(std::string_view path, std::string_view variable, std::string* target) {
  const json::value* value = find(path);
  if (auto text = from_environment(variable)) {
    *target = *std::move(text);
  } else if (value != nullptr && value->is_string()) {
    *target = view(value->get_string());
  } else if (value != nullptr) {
    wrong_type(path, "a string", *value);
  }
}

void ConfigReader::boolean(std::string_view path, std::string_view variable, bool* target) {
  const json::value* value = find(path);
  if (const auto text = from_environment(variable)) {
    const auto parsed = parse_boolean(*text);
    if (parsed) *target = *parsed;
    if (!parsed) wrong_variable(variable, "true or false");
  } else if (value != nullptr && value->is_bool()) {
    *target = value->get_bool();
  } else if (value != nullptr) {
    wrong_type(path, "a boolean", *value);
  }
}

void ConfigReader::strings(std::string_view path, std::string_view variable,
                           std::vector<std::string>* target) {
  const json::value* value = find(path);
  if (const auto text = from_environment(variable)) {
    *target = split(*text);
    return;
  }
  if (value == nullptr) return;
  if (!value->is_array()) return wrong_type(path, "an array of strings", *value);
  std::vector<std::string> texts;
  for (const json::value& element : value->get_array()) {
    if (!element.is_string()) {
      return wrong_type(fmt::format("{}[{}]", path, texts.size()), "a string", element);
    }
    texts.emplace_back(view(element.get_string()));
  }
  *target = std::move(texts);
}

void ConfigReader::string_or_strings(std::string_view path, std::string_view variable,
                                     std::vector<std::string>* target) {
  const json::value* value = find(path);
  if (value == nullptr || !value->is_string() || from_environment(variable)) {
    return strings(path, variable, target);
  }
  target->assign(1, std::string(view(value->get_string())));
}

std::optional<std::int64_t> ConfigReader::read_integer(std::string_view path, std::string_view variable,
                                                       std::int64_t min, std::int64_t max) {
  const json::value* value = find(path);
  const std::string range = fmt::format("an integer from {} to {}", min, max);
  if (const auto text = from_environment(variable)) {
    const auto number = parse_integer(*text);
    if (number && *number >= min && *number <= max) return number;
    wrong_variable(variable, range);
    return std::nullopt;
  }
  if (value == nullptr) return std::nullopt;
  // A uint64 here is one beyond int64; a double is a fraction, or beyond both.
  if (value->is_int64() && value->get_int64() >= min && value->get_int64() <= max) return value->get_int64();
  if (value->is_number()) {
    fail(path, range + " is expected");
  } else {
    wrong_type(path, range, *value);
  }
  return std::nullopt;
}

std::optional<Duration> ConfigReader::read_duration(std::string_view path, std::string_view variable,
                                                    Duration min, Duration max) {
  const json::value* value = find(path);
  const auto in_range = [&](const std::optional<Duration>& d) { return d && *d >= min && *d <= max; };
  const auto seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
  const std::string expected = max == Duration::max()
                                   ? fmt::format("a duration of at least {} s", seconds(min))
                                   : fmt::format("a duration from {} to {} s", seconds(min), seconds(max));
  const auto parse = [](std::string_view text) -> std::optional<Duration> {
    auto parsed = parse_duration(text);
    if (!parsed) return std::nullopt;
    return *parsed;
  };
  if (const auto text = from_environment(variable)) {
    const auto duration = parse(*text);
    if (in_range(duration)) return duration;
    wrong_variable(variable, expected);
    return std::nullopt;
  }
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() && !value->is_string()) {
    wrong_type(path, expected, *value);
    return std::nullopt;
  }
  const auto duration =
      value->is_string() ? parse(view(value->get_string())) : from_seconds(value->to_number<double>());
  if (in_range(duration)) return duration;
  fail(path, expected + " is expected");
  return std::nullopt;
}

void ConfigReader::objects(std::string_view path, const std::function<void(ConfigReader& element)>& each) {
  const json::value* value = find(path);
  if (value == nullptr) return;
  if (!value->is_array()) return wrong_type(path, "an array of objects", *value);
  const auto* const outer_scope = scope_;
  const std::string outer_prefix = prefix_;
  std::size_t index = 0;
  for (const json::value& element : value->get_array()) {
    const std::string element_path = fmt::format("{}[{}]", path, index++);
    if (!element.is_object()) {
      wrong_type(element_path, "an object", element);
      continue;
    }
    scope_ = &element.get_object();
    prefix_ = outer_prefix + element_path + ".";
    asked_.insert(&element);
    each(*this);
    scope_ = outer_scope;
    prefix_ = outer_prefix;
  }
}

bool ConfigReader::has(std::string_view path) {
  return find(path) != nullptr;
}

void ConfigReader::warn_of_unknown(const json::value& value, const std::string& path, Log& log) const {
  if (!asked_.contains(&value)) {
    log.warn("config.key_unknown", {{"source", source_}, {"key", path}});
  } else if (value.is_object()) {
    for (const auto& member : value.get_object()) {
      warn_of_unknown(member.value(), path + "." + std::string(member.key()), log);
    }
  } else if (value.is_array()) {
    std::size_t index = 0;
    for (const json::value& element : value.get_array()) {
      const std::string element_path = fmt::format("{}[{}]", path, index++);
      // The keys of strings() lead to the array only.
      if (element.is_object() && asked_.contains(&element)) warn_of_unknown(element, element_path, log);
    }
  }
}

Status ConfigReader::finish(Log& log) {
  for (const auto& member : root_) warn_of_unknown(member.value(), std::string(member.key()), log);
  if (!problems_.empty()) return invalid(fmt::format("{}", fmt::join(problems_, "; ")));
  return {};
}

void read_log_settings(ConfigReader& reader, std::string_view prefix, std::string_view variables,
                       LogLevel* level, LogFormat* format) {
  const std::string level_key = fmt::format("{}LogLevel", prefix);
  const std::string format_key = fmt::format("{}LogFormat", prefix);
  std::string level_word;
  std::string format_word;
  reader.string(level_key, fmt::format("{}LOG_LEVEL", variables), &level_word);
  reader.string(format_key, fmt::format("{}LOG_FORMAT", variables), &format_word);
  if (!level_word.empty()) {
    if (const auto parsed = parse_log_level(level_word)) {
      *level = *parsed;
    } else {
      reader.fail(level_key, parsed.error().what);
    }
  }
  if (format_word.empty()) return;
  if (format_word != "logfmt" && format_word != "json") reader.fail(format_key, "must be logfmt or json");
  *format = format_word == "json" ? LogFormat::json : LogFormat::logfmt;
}

}  // namespace postern
