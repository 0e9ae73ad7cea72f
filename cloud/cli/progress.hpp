// A bar that shows how far something long has come.
#pragma once

#include <string>

#include "shared/base/clock.hpp"

namespace postern::cli {

/// Draws on standard error: on a terminal one line that is drawn again, else a line every few seconds.
class Progress {
 public:
  /// `unit_bytes`: `total` counts bytes; else things.
  Progress(std::string label, std::uint64_t total, bool unit_bytes, Clock& clock);

  /// Draws when it is time to.
  void update(std::uint64_t done, const std::string& detail = {});
  /// Draws the last state and ends the line.
  void finish(std::uint64_t done, const std::string& detail = {});

  /// "label  42% [########            ] detail"
  static std::string bar(const std::string& label, std::uint64_t done, std::uint64_t total,
                         const std::string& detail);

 private:
  std::string describe(std::uint64_t done, const std::string& detail) const;

  std::string label_;
  std::uint64_t total_;
  bool unit_bytes_;
  Clock& clock_;
  bool is_terminal_;
  SteadyTime started_;
  SteadyTime drawn_{};
};

}  // namespace postern::cli
