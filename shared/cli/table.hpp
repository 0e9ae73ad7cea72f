// Text for people: tables, sizes, durations.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/base/clock.hpp"

namespace postern::cli {

/// Columns are as wide as their widest cell; an empty cell is shown as "-".
class Table {
 public:
  explicit Table(std::vector<std::string> heads) : rows_{std::move(heads)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// With a line break after each row.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// Lines of a label and a value, the values one below the other; a line without a value is left out.
class Sheet {
 public:
  void add(std::string label, std::string value);
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

/// "64.0 MiB"
std::string human_size(std::uint64_t bytes);
/// "45 s", "3:20 min", "1:02 h"
std::string human_duration(Duration duration);

/// What comes from elsewhere, without control characters: a name must not move the cursor of the terminal.
std::string printable(std::string_view text);

/// How many places a terminal shows `text` in, near enough: continuation bytes of UTF-8 take none.
std::size_t width_of(std::string_view text);
/// The part of `text` that fits into `width` places.
std::string_view fit(std::string_view text, std::size_t width);

}  // namespace postern::cli
