// Byte ranges (RFC 9110 section 14), as far as the clients of the device protocol use them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::http {

/// A satisfiable range: `last` is inclusive and below the total size.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  std::uint64_t size() const { return last - first + 1; }
  /// "bytes first-last/total"
  std::string content_range(std::uint64_t total) const;
};

struct RangeRequest {
  bool present = false;            ///< there was a Range field
  std::optional<ByteRange> range;  ///< the one range it asks for; empty when it cannot be satisfied
};

/// Reads a Range field against a size. One range of the forms a-b, a- and -n is understood; several ranges,
/// other units and malformed text count as present but not satisfiable, because answering them with 200 would
/// make clients fail (real-clients 3).
RangeRequest parse_range(std::optional<std::string_view> field, std::uint64_t total);

/// What an answer to a ranged request says of itself.
struct ContentRange {
  ByteRange range;
  std::uint64_t total = 0;
};

/// Reads "bytes first-last/total" with every part there; none for any other form, and for a range beyond the
/// total.
std::optional<ContentRange> parse_content_range(std::string_view text);

}  // namespace postern::http
