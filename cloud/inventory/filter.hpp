// Which devices are meant: predicates over their attributes (management-api 3.5).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "shared/base/result.hpp"

namespace postern::cloud {

/// Who says an attribute.
enum class Scope : unsigned char {
  inventory,  ///< the device, about itself
  identity,   ///< the device, when it asked for a token; and what was decided then
  system,     ///< this server
  tags,       ///< operators
  monitor,    ///< alerts of the device
};
std::string_view to_string(Scope scope);
std::optional<Scope> parse_scope(std::string_view word);

enum class Operator : unsigned char { eq, ne, gt, gte, lt, lte, in, nin, exists, regex };
/// "$eq", ...
std::string_view to_string(Operator op);

/// A regular expression of RE2, which takes linear time whatever it is matched against.
class Pattern;

struct Predicate {
  Scope scope = Scope::inventory;
  std::string attribute;
  Operator op = Operator::eq;
  boost::json::value value;
  std::shared_ptr<const Pattern> pattern{};  ///< of `regex`
};

/// All have to hold; an empty one holds for every device.
using Filter = std::vector<Predicate>;

inline constexpr std::size_t kPredicatesMax = 64;
inline constexpr std::size_t kPredicateValuesMax = 10000;         ///< in the list of `$in` and `$nin`
inline constexpr std::size_t kPredicateTextCharactersMax = 4096;  ///< of a name or a string
inline constexpr std::size_t kPatternCharactersMax = 512;

/// Reads a list of {"scope","attribute","type","value"}. Errors: invalid.
Result<Filter> parse_filter(const boost::json::value& terms);
/// One of them, made by a program; `value` has to fit `op`. Errors: invalid.
Result<Predicate> make_predicate(Scope scope, std::string attribute, Operator op, boost::json::value value);
/// As parse_filter() reads it.
boost::json::array to_json(const Filter& filter);

/// Whether one value answers the predicate; null: the device has no such attribute. Numbers and strings are
/// never equal, and never in an order; a list is equal when one of its elements is.
bool matches(const Predicate& predicate, const boost::json::value* value);

/// The value of one attribute of one device; null: it has none.
using AttributeLookup = std::function<const boost::json::value*(Scope scope, std::string_view attribute)>;
bool matches(const Filter& filter, const AttributeLookup& lookup);

/// As texts are ordered, and numbers before texts; a list counts as its first element. Null, for a device
/// without the attribute, is less than all others.
std::weak_ordering compare_values(const boost::json::value* a, const boost::json::value* b);

}  // namespace postern::cloud
