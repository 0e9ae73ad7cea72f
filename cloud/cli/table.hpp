// Tables for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::cli {

/// Columns are as wide as their widest cell; the last one is not padded.
class Table {
 public:
  explicit Table(std::vector<std::string> heads) : rows_{std::move(heads)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// With a line break after each row.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// "64.0 MiB"
std::string human_size(std::uint64_t bytes);

/// What comes from elsewhere, without control characters: a name must not move the cursor of the terminal.
std::string printable(std::string_view text);

}  // namespace postern::cli
