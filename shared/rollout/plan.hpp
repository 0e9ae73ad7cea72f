// How fast a deployment may go: phases, windows, caps, retries, and the failures that stop it. Pure: whoever
// decides keeps the counts and says what time it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/rollout/reason.hpp"
#include "shared/rollout/windows.hpp"

namespace postern::rollout {

/// A batch of devices. Which devices are in it is decided by who asks first.
struct Phase {
  std::string id;
  std::uint32_t percent = 0;  ///< of the targets, as it was ordered; 0: `size` was ordered, or nothing
  std::uint32_t size = 0;     ///< devices; the last phase takes all the rest, whatever it says
  /// Nothing: at once for the first phase, else when all devices of those before have finished.
  std::optional<WallTime> start;
  bool waits_for_resume = false;  ///< an operator lets it begin

  bool operator==(const Phase&) const = default;
};

inline constexpr std::size_t kPhasesMax = 100;

/// Turns percentages into sizes: each is rounded down, the last phase takes the rest (management-api 4.8).
/// Errors: invalid (a batch would be empty, more than 100 percent, starts out of order).
Status size_phases(std::vector<Phase>& phases, std::uint32_t targets);

/// Which failures stop a deployment. Only devices that have finished count; retries that are left do not.
struct StopRule {
  static constexpr std::uint32_t kLastMax = 1000;
  static constexpr std::uint32_t kSlices = 60;

  std::uint32_t failures = 0;      ///< stops at so many; 0: does not count
  std::uint32_t percent = 0;       ///< stops when at least this share of those that count failed; 0: does not
  std::uint32_t last = 0;          ///< only the last so many that finished count; 0: all of them
  std::chrono::seconds within{0};  ///< only those of so long ago count, to one 60th; 0: all of them
  std::uint32_t sample_min = 1;    ///< a share needs at least so many that count

  bool is_off() const { return failures == 0 && percent == 0; }
  bool operator==(const StopRule&) const = default;
};

/// What a StopRule looks at. Its size is bounded by the rule's.
struct Outcomes {
  struct Slice {
    std::int64_t number = 0;  ///< of time
    std::uint32_t finished = 0;
    std::uint32_t failed = 0;
    bool operator==(const Slice&) const = default;
  };
  std::uint32_t finished = 0;
  std::uint32_t failed = 0;
  std::string last;           ///< '1' failed, '0' did not; oldest first
  std::vector<Slice> slices;  ///< oldest first

  /// One more device has finished.
  void add(const StopRule& rule, bool has_failed, WallTime now);
  bool operator==(const Outcomes&) const = default;
};

bool must_stop(const StopRule& rule, const Outcomes& outcomes, WallTime now);

/// What an operator ordered.
struct Plan {
  std::vector<Phase> phases;  ///< none: everybody at once
  StopRule stop;
  Windows windows;
  std::uint32_t concurrent = 0;           ///< devices that update at once; 0: no limit
  std::uint32_t concurrent_per_site = 0;  ///< the same at one site; 0: no limit
  std::uint32_t retries = 0;              ///< further attempts of a device that failed
  std::uint32_t max_devices = 0;          ///< devices that may begin at all; 0: no limit

  bool operator==(const Plan&) const = default;
};

enum class RunState : unsigned char {
  running,
  paused,   ///< by an operator: nothing begins
  stopped,  ///< by failures: nothing begins until an operator resumes it
};
std::string_view to_string(RunState state);

/// Where a deployment is, counted by whoever decides.
struct PlanProgress {
  RunState state = RunState::running;
  std::uint32_t started = 0;          ///< devices that have begun, each once
  std::uint32_t finished = 0;         ///< of those, how many have an outcome
  std::uint32_t running = 0;          ///< devices that update now
  std::uint32_t running_at_site = 0;  ///< at the site of the device that asks
};

/// How many devices may have begun by now; `next` is the phase that has not begun yet, if there is one.
struct Opened {
  std::optional<std::uint32_t> devices;  ///< nothing: no limit
  const Phase* next = nullptr;
};
Opened opened_phases(const Plan& plan, const PlanProgress& progress, WallTime now);

/// Why no update may begin now.
struct Hold {
  Reason reason{};
  std::optional<WallTime> until;  ///< where a clock ends it

  bool operator==(const Hold&) const = default;
};

enum class Attempt : unsigned char { first, retry };

/// Whether a device may begin. A retry was counted in its phase already.
std::optional<Hold> hold_of(const Plan& plan, const PlanProgress& progress, Attempt attempt, WallTime now,
                            std::chrono::seconds utc_offset);

/// Whether a device that has failed `attempts` times gets another one.
inline bool may_retry(const Plan& plan, std::uint32_t attempts) {
  return attempts <= plan.retries;
}

}  // namespace postern::rollout
