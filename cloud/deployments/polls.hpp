// What devices said at their last polls.
#pragma once

#include <mutex>
#include <optional>
#include <unordered_map>

#include "shared/base/clock.hpp"
#include "shared/rollout/select.hpp"

namespace postern::cloud {

/// Remembers the last poll of each device since the server started, so that one can tell what another would
/// be answered. Thread-safe.
class Polls {
 public:
  /// Beyond so many devices some older ones are forgotten.
  static constexpr std::size_t kDevicesMax = 200'000;

  struct Poll {
    rollout::Device report;
    WallTime at;
  };

  void note(std::uint32_t device, const rollout::Device& report, WallTime now);
  std::optional<Poll> find(std::uint32_t device) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, Poll> polls_;
};

}  // namespace postern::cloud
