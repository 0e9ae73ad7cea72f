#include "shared/artifact/strict_json.hpp"

#include <cmath>
#include <set>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace postern {
namespace {

namespace json = boost::json;

/// Looks for a name that appears twice in one object, which a parsed value does not show any more.
class DuplicateFinder {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = max_object_size;
  static constexpr std::size_t max_key_size = max_object_size;
  static constexpr std::size_t max_string_size = max_object_size;

  const std::optional<std::string>& duplicate() const { return duplicate_; }

  bool on_object_begin(json::error_code&) {
    keys_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    keys_.pop_back();
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    if (!keys_.back().insert(key_).second) duplicate_ = key_;
    key_.clear();
    return true;
  }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  std::vector<std::set<std::string>> keys_;  ///< of every object that is open
  std::string key_;
  std::optional<std::string> duplicate_;
};

/// `text` is known to be valid JSON.
std::optional<std::string> find_duplicate_key(std::string_view text) {
  json::basic_parser<DuplicateFinder> parser{json::parse_options()};
  json::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  return parser.handler().duplicate();
}

/// The parser bounds the depth.
bool is_finite(const json::value& value) {
  if (const double* number = value.if_double()) return std::isfinite(*number);
  if (const auto* array = value.if_array()) return std::ranges::all_of(*array, is_finite);
  if (const auto* object = value.if_object()) {
    return std::ranges::all_of(*object, [](const auto& member) { return is_finite(member.value()); });
  }
  return true;
}

bool is_equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

Result<json::object> parse_json_object(std::string_view text, std::string_view where,
                                       DuplicateKeys duplicates) {
  json::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return invalid(fmt::format("{}: not valid JSON: {}", where, error.message()));
  if (!value.is_object()) return invalid(fmt::format("{}: not a JSON object", where));
  if (!is_finite(value)) return invalid(fmt::format("{}: holds a number out of range", where));
  if (duplicates == DuplicateKeys::refuse) {
    if (const auto key = find_duplicate_key(text)) {
      return invalid(fmt::format("{}: {} appears twice", where, *key));
    }
  }
  return std::move(value.as_object());
}

Result<JsonMembers> JsonMembers::sort(const json::object& object, std::string where,
                                      std::initializer_list<std::string_view> known) {
  JsonMembers members;
  members.where_ = std::move(where);
  for (const auto& member : object) {
    const std::string_view key(member.key().data(), member.key().size());
    const auto* name =
        std::ranges::find_if(known, [&](std::string_view one) { return is_equal_ignoring_case(one, key); });
    if (name == known.end()) {
      members.others_.emplace(key, &member.value());
    } else if (!members.known_.emplace(*name, &member.value()).second) {
      return invalid(fmt::format("{} appears twice", members.where(*name)));
    }
  }
  return members;
}

const json::value* JsonMembers::find(std::string_view known) const {
  const auto at = known_.find(known);
  return at == known_.end() ? nullptr : at->second;
}

Result<const json::value*> JsonMembers::need(std::string_view known) const {
  const json::value* value = find(known);
  if (value == nullptr) return invalid(fmt::format("{} is missing", where(known)));
  return value;
}

Status JsonMembers::refuse_others() const {
  if (others_.empty()) return {};
  return invalid(fmt::format("{} is not known", where(others_.begin()->first)));
}

std::string JsonMembers::where(std::string_view member) const {
  return fmt::format("{}: {}", where_, member);
}

}  // namespace postern
