// Which of several upstreams a request goes to: the rule, without any network.
#pragma once

#include <mutex>
#include <vector>

#include "shared/base/clock.hpp"

namespace postern::gateway {

enum class Standing {
  unknown,  ///< not tried yet
  up,
  down,
};
std::string_view to_string(Standing standing);

/// Stays with the upstream that served last; leaves it when it fails; goes back to the first, which is the
/// preferred one, a while after that has failed. Thread-safe.
class Health {
 public:
  struct State {
    Standing standing = Standing::unknown;
    WallTime since{};            ///< of this standing
    std::uint64_t failures = 0;  ///< in all
    bool is_current = false;     ///< requests go there first
  };

  /// `return_after`: how long after its last failure the first upstream is tried again.
  Health(std::size_t count, Clock& clock, Duration return_after);

  /// In which order a request tries them. After `return_after` one request, and only one, tries the first
  /// upstream before the current one.
  std::vector<std::size_t> order();
  /// It has answered, or it has failed. True: that is news.
  bool note_up(std::size_t index);
  bool note_down(std::size_t index);

  std::vector<State> states() const;

 private:
  bool note(std::size_t index, Standing standing);

  Clock& clock_;
  const Duration return_after_;
  mutable std::mutex mutex_;
  std::vector<State> states_;
  std::size_t current_ = 0;
  SteadyTime first_tried_{};  ///< when the first upstream last failed, or was last tried from afar
};

}  // namespace postern::gateway
