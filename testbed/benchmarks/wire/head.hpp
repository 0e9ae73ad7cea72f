// Heads of HTTP/1.1 messages, as far as the benchmarks read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::bench {

struct Head {
  std::string first_line;
  std::size_t size = 0;  ///< bytes with the empty line at its end
  std::uint64_t content_length = 0;
  std::optional<std::string> range;
  bool wants_close = false;
};

/// The head at the beginning of `data`, or nothing when it has not all arrived. Throws std::runtime_error for
/// what is beyond this reader: a chunked body, or more than 64 KiB.
std::optional<Head> read_head(std::string_view data);

/// The status in an answer's first line; 0 when there is none.
int status_of(const Head& head);

}  // namespace postern::bench
