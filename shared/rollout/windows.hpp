// Hours of the week in which updates may begin.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"
#include "shared/base/result.hpp"

namespace postern::rollout {

/// Maintenance windows over a week of local time, to the minute. Immutable.
///
///   window  = [ days ] [ times ]                      at least one of them
///   days    = day [ "-" day ] { "," ... }             Mon Tue Wed Thu Fri Sat Sun
///   times   = HH:MM "-" HH:MM { "," ... }             up to 24:00; over midnight when the end is the smaller
///
/// A time span over midnight belongs to the day on which it begins: "Fri 22:00-05:00" ends on Saturday.
class Windows {
 public:
  static constexpr std::size_t kWindowsMax = 32;
  static constexpr std::size_t kTextBytesMax = 256;

  /// Always open.
  Windows() = default;
  /// No texts: always open. Errors: invalid, naming the text.
  static Result<Windows> parse(const std::vector<std::string>& texts);

  bool is_always_open() const { return spans_.empty(); }
  /// `utc_offset` is how far local clocks are ahead of UTC.
  bool is_open(WallTime now, std::chrono::seconds utc_offset) const;
  /// When a window opens next; nothing while one is open. Clocks may be put forward or back until then.
  std::optional<WallTime> next_open(WallTime now, std::chrono::seconds utc_offset) const;
  /// What they were made of.
  const std::vector<std::string>& texts() const { return texts_; }

  bool operator==(const Windows&) const = default;

 private:
  struct Span {
    std::uint32_t begin;   ///< minute of the week, from Monday 00:00
    std::uint32_t length;  ///< minutes; may go over the end of the week
    bool operator==(const Span&) const = default;
  };
  static Status add(std::string_view text, std::vector<Span>& spans);

  std::vector<Span> spans_;
  std::vector<std::string> texts_;
};

}  // namespace postern::rollout
