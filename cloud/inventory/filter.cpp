#include "cloud/inventory/filter.hpp"

#include <algorithm>
#include <array>
#include <compare>

#include <fmt/format.h>
#include <re2/re2.h>
#include <boost/json.hpp>

namespace postern::cloud {

namespace json = boost::json;

/// An expression that RE2 refuses matches nothing (management-api 3.5).
class Pattern {
 public:
  explicit Pattern(std::string_view text) : expression_({text.data(), text.size()}, options()) {}
  bool matches(std::string_view text) const {
    return expression_.ok() && re2::RE2::PartialMatch({text.data(), text.size()}, expression_);
  }

 private:
  static re2::RE2::Options options() {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    return options;
  }

  re2::RE2 expression_;
};

namespace {

constexpr std::array<std::string_view, 5> kScopes{"inventory", "identity", "system", "tags", "monitor"};
constexpr std::array<std::string_view, 10> kOperators{"$eq",  "$ne", "$gt",  "$gte",    "$lt",
                                                      "$lte", "$in", "$nin", "$exists", "$regex"};

template <class Enum, std::size_t n>
std::optional<Enum> parse_word(const std::array<std::string_view, n>& words, std::string_view word) {
  const auto found = std::ranges::find(words, word);
  if (found == words.end()) return std::nullopt;
  return static_cast<Enum>(found - words.begin());
}

bool equal(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
  return a == b;
}

/// Nothing for values of different types.
std::optional<std::weak_ordering> order(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) {
    const double x = a.to_number<double>();
    const double y = b.to_number<double>();
    if (x == y) return std::weak_ordering::equivalent;
    return x < y ? std::weak_ordering::less : std::weak_ordering::greater;
  }
  if (a.is_string() && b.is_string()) {
    return std::string_view(a.get_string()) <=> std::string_view(b.get_string());
  }
  return std::nullopt;
}

/// Whether the value, or one of its elements, is as `holds` wants it.
template <class Holds>
bool any_of(const json::value& value, const Holds& holds) {
  if (holds(value)) return true;
  return value.is_array() && std::ranges::any_of(value.get_array(), holds);
}

bool is_equal(const json::value& value, const json::value& wanted) {
  return any_of(value, [&](const json::value& each) { return equal(each, wanted); });
}

bool is_in(const json::value& value, const json::value& wanted) {
  return std::ranges::any_of(wanted.get_array(),
                             [&](const json::value& each) { return is_equal(value, each); });
}

template <class Wanted>
bool is_ordered(const json::value& value, const json::value& bound, const Wanted& wanted) {
  return any_of(value, [&](const json::value& each) {
    const auto ordering = order(each, bound);
    return ordering && wanted(*ordering);
  });
}

bool is_scalar(const json::value& value) {
  if (value.is_string()) return value.get_string().size() <= kPredicateTextCharactersMax;
  return value.is_number() || value.is_bool();
}

bool is_list_of_scalars(const json::value& value) {
  return value.is_array() && value.get_array().size() <= kPredicateValuesMax &&
         std::ranges::all_of(value.get_array(), is_scalar);
}

Status check_value(Operator op, const json::value& value) {
  switch (op) {
    case Operator::eq:
    case Operator::ne:
      if (!is_scalar(value) && !is_list_of_scalars(value)) {
        return invalid("value: must be a string, a number or a list of them.");
      }
      return {};
    case Operator::gt:
    case Operator::gte:
    case Operator::lt:
    case Operator::lte:
      if (!is_scalar(value) || value.is_bool()) return invalid("value: must be a string or a number.");
      return {};
    case Operator::in:
    case Operator::nin:
      if (!is_list_of_scalars(value)) {
        return invalid(fmt::format("value: must be a list of at most {} values.", kPredicateValuesMax));
      }
      return {};
    case Operator::exists:
      if (!value.is_bool()) return invalid("value: must be a boolean.");
      return {};
    case Operator::regex:
      if (!value.is_string()) return invalid("value: must be a string.");
      if (value.get_string().size() > kPatternCharactersMax) {
        return invalid(fmt::format("value: must be no longer than {} characters.", kPatternCharactersMax));
      }
      return {};
  }
  return bug("filter: no such operator");
}

Result<std::string> text_of(const json::object& term, std::string_view name) {
  const json::value* value = term.if_contains(name);
  if (value == nullptr || (value->is_string() && value->get_string().empty())) {
    return invalid(fmt::format("{}: cannot be blank.", name));
  }
  if (!value->is_string() || value->get_string().size() > kPredicateTextCharactersMax) {
    return invalid(fmt::format("{}: must be a valid value.", name));
  }
  return std::string(value->get_string());
}

Result<Predicate> parse_predicate(const json::value& term) {
  if (!term.is_object()) return invalid("filters: must be a list of objects.");
  const json::object& members = term.get_object();
  POSTERN_TRY(const std::string scope_word, text_of(members, "scope"));
  const auto scope = parse_scope(scope_word);
  if (!scope) return invalid("scope: must be one of system, identity, inventory, monitor, tags.");
  POSTERN_TRY(std::string attribute, text_of(members, "attribute"));
  POSTERN_TRY(const std::string type, text_of(members, "type"));
  const auto op = parse_word<Operator>(kOperators, type);
  if (!op) return invalid(fmt::format("type: must be one of {}.", fmt::join(kOperators, ", ")));
  const json::value* value = members.if_contains("value");
  if (value == nullptr || value->is_null()) return invalid("value: cannot be blank.");
  return make_predicate(*scope, std::move(attribute), *op, *value);
}

int rank(const json::value* value) {
  if (value == nullptr) return 0;
  return value->is_number() ? 1 : 2;
}

const json::value* first_of(const json::value* value) {
  if (value == nullptr || !value->is_array()) return value;
  return value->get_array().empty() ? nullptr : &value->get_array().front();
}

}  // namespace

std::string_view to_string(Scope scope) {
  return kScopes[static_cast<std::size_t>(scope)];
}

std::optional<Scope> parse_scope(std::string_view word) {
  return parse_word<Scope>(kScopes, word);
}

std::string_view to_string(Operator op) {
  return kOperators[static_cast<std::size_t>(op)];
}

Result<Predicate> make_predicate(Scope scope, std::string attribute, Operator op, json::value value) {
  POSTERN_CHECK(check_value(op, value));
  Predicate predicate{
      .scope = scope, .attribute = std::move(attribute), .op = op, .value = std::move(value), .pattern = {}};
  if (op == Operator::regex) {
    predicate.pattern = std::make_shared<const Pattern>(std::string_view(predicate.value.get_string()));
  }
  return predicate;
}

Result<Filter> parse_filter(const json::value& terms) {
  if (!terms.is_array()) return invalid("filters: must be a list.");
  if (terms.get_array().size() > kPredicatesMax) {
    return invalid(fmt::format("filters: must be no more than {}.", kPredicatesMax));
  }
  Filter filter;
  for (const json::value& term : terms.get_array()) {
    POSTERN_TRY(Predicate predicate, parse_predicate(term));
    filter.push_back(std::move(predicate));
  }
  return filter;
}

json::array to_json(const Filter& filter) {
  json::array terms;
  for (const Predicate& predicate : filter) {
    terms.push_back({{"scope", to_string(predicate.scope)},
                     {"attribute", predicate.attribute},
                     {"type", to_string(predicate.op)},
                     {"value", predicate.value}});
  }
  return terms;
}

bool matches(const Predicate& predicate, const json::value* value) {
  const json::value& wanted = predicate.value;
  if (predicate.op == Operator::exists) return (value != nullptr) == wanted.get_bool();
  if (value == nullptr) return predicate.op == Operator::ne || predicate.op == Operator::nin;
  switch (predicate.op) {
    case Operator::eq:
      return is_equal(*value, wanted);
    case Operator::ne:
      return !is_equal(*value, wanted);
    case Operator::in:
      return is_in(*value, wanted);
    case Operator::nin:
      return !is_in(*value, wanted);
    case Operator::gt:
      return is_ordered(*value, wanted, [](std::weak_ordering ordering) { return ordering > 0; });
    case Operator::gte:
      return is_ordered(*value, wanted, [](std::weak_ordering ordering) { return ordering >= 0; });
    case Operator::lt:
      return is_ordered(*value, wanted, [](std::weak_ordering ordering) { return ordering < 0; });
    case Operator::lte:
      return is_ordered(*value, wanted, [](std::weak_ordering ordering) { return ordering <= 0; });
    case Operator::regex:
      return any_of(*value, [&](const json::value& each) {
        return each.is_string() && predicate.pattern->matches(each.get_string());
      });
    case Operator::exists:
      break;
  }
  return false;
}

bool matches(const Filter& filter, const AttributeLookup& lookup) {
  return std::ranges::all_of(filter, [&](const Predicate& predicate) {
    return matches(predicate, lookup(predicate.scope, predicate.attribute));
  });
}

std::weak_ordering compare_values(const json::value* a, const json::value* b) {
  a = first_of(a);
  b = first_of(b);
  if (a == nullptr || b == nullptr) return rank(a) <=> rank(b);
  return order(*a, *b).value_or(rank(a) <=> rank(b));
}

}  // namespace postern::cloud
