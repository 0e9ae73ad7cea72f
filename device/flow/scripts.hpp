// The one place where state scripts will come in (device-client 9).
#pragma once

#include <string_view>

#include "shared/base/clock.hpp"

namespace postern::device {

enum class ScriptPoint : unsigned char { enter, leave, error };

constexpr std::string_view to_string(ScriptPoint point) {
  switch (point) {
    case ScriptPoint::enter:
      return "Enter";
    case ScriptPoint::leave:
      return "Leave";
    case ScriptPoint::error:
      return "Error";
  }
  return "";
}

/// Runs the scripts around a step of an update. Runs on: one executor.
class Scripts {
 public:
  virtual ~Scripts() = default;
  /// `step` is `Download`, `ArtifactInstall` and so on. Errors: any script that failed.
  virtual net::awaitable<Status> run(std::string_view step, ScriptPoint point) = 0;
};

/// There are none: artifacts that bring some are refused, so none are left out.
class NoScripts final : public Scripts {
 public:
  net::awaitable<Status> run(std::string_view, ScriptPoint) override { co_return Status{}; }
};

}  // namespace postern::device
