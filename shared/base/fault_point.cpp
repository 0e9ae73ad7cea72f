#include "shared/base/fault_point.hpp"

#include <signal.h>

#include <charconv>
#include <cstdlib>

namespace postern {
namespace {

FaultPoint* arm_from_environment() {
  const char* const spec = std::getenv("POSTERN_FAULT_POINT");
  if (spec == nullptr || *spec == '\0') return nullptr;
  static FaultPoint point(spec);
  return &point;
}

}  // namespace

FaultPoint* const armed_fault_point = arm_from_environment();

FaultPoint::FaultPoint(std::string_view spec) : name_(spec.substr(0, spec.find(':'))), left_(1) {
  if (name_.size() == spec.size()) return;
  const std::string_view number = spec.substr(name_.size() + 1);
  std::int64_t nth = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), nth);
  left_ = error == std::errc() && end == number.data() + number.size() && nth > 0 ? nth : 0;
}

void FaultPoint::reached(std::string_view name) {
  if (name == name_ && left_.fetch_sub(1) == 1) ::raise(SIGKILL);
}

}  // namespace postern
