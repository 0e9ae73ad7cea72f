// URLs, percent-encoding and query strings.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/transport/stream.hpp"

namespace postern::http {

/// An absolute http or https URL, taken apart.
struct Url {
  bool is_secure = true;
  Endpoint endpoint;
  std::string target;  ///< path and query, at least "/"

  /// Errors: invalid (no absolute http or https URL; user information is refused, it belongs in no link).
  static Result<Url> parse(std::string_view text);
  /// scheme://host[:port], the port only where it is not the scheme's own.
  std::string origin() const;
  /// The value of the Host field.
  std::string authority() const;
  std::string to_string() const { return origin() + target; }
};

/// Leaves letters, digits and "-._~" and encodes all else, so no bare colon survives (decision 4).
std::string percent_encode(std::string_view text);
/// Errors: invalid (a percent sign without two hexadecimal digits, or a NUL). A plus is left as it is.
Result<std::string> percent_decode(std::string_view text);

/// name=value pairs, decoded, plus meaning blank.
using QueryParameters = std::vector<std::pair<std::string, std::string>>;
/// Errors: invalid.
Result<QueryParameters> parse_query(std::string_view query);
std::string build_query(const QueryParameters& parameters);
/// The first parameter of that name.
std::optional<std::string_view> find_parameter(const QueryParameters& parameters, std::string_view name);

}  // namespace postern::http
