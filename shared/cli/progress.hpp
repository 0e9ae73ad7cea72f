// A bar that shows how far something long has come.
#pragma once

#include <functional>
#include <string>

#include "shared/base/clock.hpp"

namespace postern::cli {

/// Where progress is drawn.
struct Screen {
  std::function<void(std::string_view)> write;
  bool is_terminal = false;
  std::size_t columns = 80;
};

/// The program's standard error.
Screen standard_error();

/// Draws on a terminal one line that is drawn over again and again; elsewhere a new line every few seconds,
/// and only when it says something new.
class Progress {
 public:
  enum class Unit { bytes, things };

  Progress(Screen screen, Clock& clock, std::string label, std::uint64_t total, Unit unit);
  /// Leaves the cursor at the beginning of a line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Draws when it is time to.
  void update(std::uint64_t done, std::string_view detail = {});
  /// Draws the last state and ends the line.
  void finish(std::uint64_t done, std::string_view detail = {});

 private:
  std::string describe(std::uint64_t done, std::string_view detail) const;
  void draw(std::string line);

  Screen screen_;
  Clock& clock_;
  std::string label_;
  std::uint64_t total_;
  Unit unit_;
  SteadyTime begun_;
  std::optional<SteadyTime> drawn_;
  std::string shown_;
  bool line_is_open_ = false;
};

}  // namespace postern::cli
