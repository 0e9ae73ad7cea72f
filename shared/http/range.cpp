#include "shared/http/range.hpp"

#include <charconv>

namespace postern::http {
namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<ByteRange> parse(std::string_view text, std::uint64_t total) {
  if (!text.starts_with("bytes=") || total == 0) return std::nullopt;
  text.remove_prefix(6);
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = number(text.substr(0, dash));
  const auto last = number(text.substr(dash + 1));
  const bool has_last = dash + 1 < text.size();
  if (has_last && !last) return std::nullopt;
  if (dash == 0) {
    if (!last || *last == 0) return std::nullopt;
    return ByteRange{total - std::min(total, *last), total - 1};
  }
  if (!first || *first >= total || (last && *last < *first)) return std::nullopt;
  return ByteRange{*first, std::min(last.value_or(total - 1), total - 1)};
}

}  // namespace

std::string ByteRange::content_range(std::uint64_t total) const {
  return fmt::format("bytes {}-{}/{}", first, last, total);
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const auto dash = text.find('-');
  const auto slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  const auto first = number(text.substr(0, dash));
  const auto last = number(text.substr(dash + 1, slash - dash - 1));
  const auto total = number(text.substr(slash + 1));
  if (!first || !last || !total || *first > *last || *last >= *total) return std::nullopt;
  return ContentRange{.range = {.first = *first, .last = *last}, .total = *total};
}

RangeRequest parse_range(std::optional<std::string_view> field, std::uint64_t total) {
  if (!field) return {};
  return {true, parse(*field, total)};
}

}  // namespace postern::http
