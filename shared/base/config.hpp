// Configuration: one JSON object, with environment variables that win over it. Programs bind each key to a
// field:
//
//   POSTERN_TRY(auto reader, ConfigReader::from_text(text, path, system_environment()));
//   reader.string("HTTPS.Listen", "HTTPS_LISTEN", &options.listen);
//   reader.duration("Poll.Interval", "", &options.poll_interval, 1s, 24h);
//   POSTERN_CHECK(reader.finish(log));
//
// A target keeps its value, the default, when its key is absent or null. Paths are member names joined by
// dots. Names are compared exactly first, then without letter case.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

namespace postern {

/// Gives the value of an environment variable. An empty one counts as unset.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

/// The process's environment.
Environment system_environment();

/// Reads "90", "30m", "1h30m", "1.5s" or "7d"; units ms, s, m, h, d; without a unit it is seconds. Errors:
/// invalid.
Result<Duration> parse_duration(std::string_view text);

/// Binds configuration keys to fields. Problems are gathered and all told by finish(). Not thread-safe.
class ConfigReader {
 public:
  static constexpr std::size_t kTextBytesMax = 1 << 20;

  /// `source` names the text in messages: a file's path. An empty text is an empty object. Errors: invalid
  /// (syntax, with line and column; no object), too_large.
  static Result<ConfigReader> from_text(std::string_view text, std::string source, Environment environment);
  /// Lays a second file over the first, one member of the root at a time. Call it before anything is read.
  /// Errors as from_text.
  Status overlay(std::string_view text, std::string source);

  /// Each of these leaves `*target` alone when there is neither a key nor a variable, and notes an error when
  /// the type or the range is wrong. An empty `variable` means that none is defined.
  void string(std::string_view path, std::string_view variable, std::string* target);
  void boolean(std::string_view path, std::string_view variable, bool* target);
  /// An array of strings; in the environment a list separated by commas or spaces.
  void strings(std::string_view path, std::string_view variable, std::vector<std::string>* target);
  /// The same; one string alone counts as an array of one.
  void string_or_strings(std::string_view path, std::string_view variable, std::vector<std::string>* target);
  /// Bounds are inclusive.
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  void integer(std::string_view path, std::string_view variable, T* target,
               T min = std::numeric_limits<T>::min(), T max = std::numeric_limits<T>::max()) {
    if (const auto value = read_integer(path, variable, as_int64(min), as_int64(max))) {
      *target = static_cast<T>(*value);
    }
  }
  /// A number of seconds, or a text as parse_duration reads it. Bounds are inclusive.
  template <class D>
  void duration(std::string_view path, std::string_view variable, D* target, Duration min = Duration(0),
                Duration max = Duration::max()) {
    if (const auto value = read_duration(path, variable, min, max)) {
      *target = std::chrono::duration_cast<D>(*value);
    }
  }
  /// Calls `each` for every object of the array at `path`; meanwhile paths start at that object.
  void objects(std::string_view path, const std::function<void(ConfigReader& element)>& each);

  /// Whether the file has this key with a value other than null.
  bool has(std::string_view path);
  /// Notes an error about `path` that the caller found, such as an unknown word.
  void fail(std::string_view path, std::string_view what);

  /// Warns of keys that nothing asked for ("config.key_unknown", with source and key). Errors: invalid, with
  /// every problem noted so far.
  Status finish(Log& log);

 private:
  ConfigReader(boost::json::object root, std::string source, Environment environment);

  /// A bound; what is beyond int64 cannot be configured.
  template <std::integral T>
  static constexpr std::int64_t as_int64(T bound) {
    return std::in_range<std::int64_t>(bound) ? static_cast<std::int64_t>(bound)
                                              : std::numeric_limits<std::int64_t>::max();
  }
  const boost::json::value* find(std::string_view path);
  std::optional<std::string> from_environment(std::string_view variable) const;
  std::optional<std::int64_t> read_integer(std::string_view path, std::string_view variable, std::int64_t min,
                                           std::int64_t max);
  std::optional<Duration> read_duration(std::string_view path, std::string_view variable, Duration min,
                                        Duration max);
  void wrong_type(std::string_view path, std::string_view expected, const boost::json::value& found);
  void wrong_variable(std::string_view variable, std::string_view expected);
  void warn_of_unknown(const boost::json::value& value, const std::string& path, Log& log) const;

  boost::json::object root_;
  std::string source_;
  Environment environment_;
  const boost::json::object* scope_ = nullptr;  ///< where paths start; null is the root
  std::string prefix_;                          ///< path of the scope, with its final dot
  std::set<const boost::json::value*> asked_;   ///< values that a path led to or through
  std::vector<std::string> problems_;
};

/// Binds `<prefix>LogLevel` and `<prefix>LogFormat`, and the variables `<variables>LOG_LEVEL` and
/// `…LOG_FORMAT`.
void read_log_settings(ConfigReader& reader, std::string_view prefix, std::string_view variables,
                       LogLevel* level, LogFormat* format);

}  // namespace postern
