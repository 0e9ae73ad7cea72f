#include "shared/cli/table.hpp"

namespace postern::cli {
namespace {

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t have = width_of(text);
  if (have < width) text.append(width - have, ' ');
  return text;
}

}  // namespace

std::size_t width_of(std::string_view text) {
  return text.size() - static_cast<std::size_t>(std::ranges::count_if(text, is_continuation));
}

std::string_view fit(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  for (std::size_t places = 0; end < text.size(); ++end) {
    if (!is_continuation(text[end]) && ++places > width) break;
  }
  return text.substr(0, end);
}

std::string Table::text() const {
  const auto shown = [](const std::string& cell) { return cell.empty() ? std::string("-") : cell; };
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(shown(row[i])));
  }
  std::string text;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_last = i + 1 == row.size();
      text += is_last ? shown(row[i]) + "\n" : padded(shown(row[i]), widths[i] + 2);
    }
  }
  return text;
}

void Sheet::add(std::string label, std::string value) {
  if (!value.empty()) lines_.emplace_back(std::move(label), std::move(value));
}

std::string Sheet::text() const {
  std::size_t width = 0;
  for (const auto& [label, value] : lines_) width = std::max(width, width_of(label));
  std::string text;
  for (const auto& [label, value] : lines_) text += padded(label, width + 2) + value + "\n";
  return text;
}

std::string human_size(std::uint64_t bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_duration(Duration duration) {
  const auto seconds = std::max<std::int64_t>(0, duration / std::chrono::seconds(1));
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{}:{:02} min", seconds / 60, seconds % 60);
  return fmt::format("{}:{:02} h", seconds / 3600, seconds / 60 % 60);
}

std::string printable(std::string_view text) {
  std::string clean;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters too; in UTF-8 they begin with C2.
    const bool is_c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (is_c1) ++i;
    clean.push_back(is_c1 || byte < 0x20 || byte == 0x7F ? '?' : text[i]);
  }
  return clean;
}

}  // namespace postern::cli
