#include "testbed/benchmarks/wire/head.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>

namespace postern::bench {
namespace {

constexpr std::size_t kHeadBytesMax = 65536;

bool is_same(std::string_view left, std::string_view right) {
  return std::ranges::equal(
      left, right, {}, [](unsigned char c) { return std::tolower(c); },
      [](unsigned char c) { return std::tolower(c); });
}

void take_field(Head& head, std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  if (is_same(name, "content-length")) {
    std::from_chars(value.data(), value.data() + value.size(), head.content_length);
  } else if (is_same(name, "range")) {
    head.range = value;
  } else if (is_same(name, "connection")) {
    head.wants_close = is_same(value, "close");
  } else if (is_same(name, "transfer-encoding")) {
    throw std::runtime_error("a chunked body is not read here");
  }
}

}  // namespace

std::optional<Head> read_head(std::string_view data) {
  const std::size_t end = data.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (data.size() > kHeadBytesMax) throw std::runtime_error("the head is too long");
    return std::nullopt;
  }
  Head head{.first_line = std::string(data.substr(0, data.find("\r\n"))), .size = end + 4};
  std::string_view rest = data.substr(head.first_line.size() + 2, end - head.first_line.size());
  while (!rest.empty()) {
    const std::size_t line_end = rest.find("\r\n");
    take_field(head, rest.substr(0, line_end));
    if (line_end == std::string_view::npos) break;
    rest.remove_prefix(line_end + 2);
  }
  return head;
}

int status_of(const Head& head) {
  int status = 0;
  const std::string_view line = head.first_line;
  if (line.size() >= 12) std::from_chars(line.data() + 9, line.data() + 12, status);
  return status;
}

}  // namespace postern::bench
