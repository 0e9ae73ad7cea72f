// JSON of the artifact's header, read more strictly than usual.
#pragma once

#include <initializer_list>
#include <map>
#include <string>

#include <boost/json/object.hpp>

#include "shared/base/result.hpp"

namespace postern {

enum class DuplicateKeys { refuse, last_wins };

/// One JSON object and nothing behind it but white space; UTF-8 without a byte order mark; finite numbers; at
/// most 32 levels. `where` starts the texts of errors. Errors: invalid.
Result<boost::json::object> parse_json_object(std::string_view text, std::string_view where,
                                              DuplicateKeys duplicates);

/// The members of an object, told apart by a list of known names. Known names are matched without regard to
/// letter case, as every reader of the format does it (artifact-format 15.2, hi_case). Views of the object.
class JsonMembers {
 public:
  /// Errors: invalid (a known name in two letter cases).
  static Result<JsonMembers> sort(const boost::json::object& object, std::string where,
                                  std::initializer_list<std::string_view> known);

  /// nullptr when the member is missing.
  const boost::json::value* find(std::string_view known) const;
  /// Errors: invalid when the member is missing.
  Result<const boost::json::value*> need(std::string_view known) const;
  /// Members with other names, as they are spelled.
  const std::map<std::string_view, const boost::json::value*>& others() const { return others_; }
  /// Errors: invalid when there are others.
  Status refuse_others() const;

  /// The path of a member, for errors.
  std::string where(std::string_view member) const;

 private:
  std::string where_;
  std::map<std::string_view, const boost::json::value*> known_;
  std::map<std::string_view, const boost::json::value*> others_;
};

}  // namespace postern
