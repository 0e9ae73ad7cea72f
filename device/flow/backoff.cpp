#include "device/flow/backoff.hpp"

#include <algorithm>

namespace postern::device {

std::optional<Duration> Backoff::next() {
  constexpr int kUses = 3;
  Duration wait = std::min(options_.min, options_.max);
  int uses_of_longest = tried_;
  for (int left = tried_; left >= kUses && wait < options_.max; left -= kUses) {
    wait = std::min(2 * wait, options_.max);
    uses_of_longest -= kUses;
  }
  const bool is_over =
      options_.count > 0 ? tried_ >= options_.count : wait == options_.max && uses_of_longest >= kUses;
  if (is_over) return std::nullopt;
  ++tried_;
  return wait;
}

}  // namespace postern::device
