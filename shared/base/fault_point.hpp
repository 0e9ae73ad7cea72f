// Named places at which a test can make the process die, as a power cut would.
//
//   POSTERN_FAULT_POINT("writer.before_commit");
//
// The environment variable POSTERN_FAULT_POINT is read once, when the program starts. Its value is the name
// of a point, or "name:n" for the n-th time the point is reached (the first is 1). There the process raises
// SIGKILL against itself: no destructor runs, no buffer is flushed. Names are "<component>.<before or after
// what>". When the variable is not set, a point costs one load of a static pointer.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

/// The one place where this process is to die. Thread-safe.
class FaultPoint {
 public:
  /// `spec` is "name" or "name:n"; with an n that is no positive number the point is never reached.
  explicit FaultPoint(std::string_view spec);
  /// Does not return when it is the n-th call with the name of this point.
  void reached(std::string_view name);

 private:
  std::string name_;
  std::atomic<std::int64_t> left_;
};

/// What the environment asked for; null in ordinary operation.
extern FaultPoint* const armed_fault_point;

}  // namespace postern

#define POSTERN_FAULT_POINT(name)                             \
  do {                                                        \
    if (::postern::armed_fault_point != nullptr) [[unlikely]] \
      ::postern::armed_fault_point->reached(name);            \
  } while (false)
