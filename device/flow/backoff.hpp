// How long to wait before the next try (device-client 7.7).
#pragma once

#include "shared/base/clock.hpp"

namespace postern::device {

struct BackoffOptions {
  Duration min = std::chrono::seconds(60);   ///< the first wait
  Duration max = std::chrono::seconds(300);  ///< the longest; a shorter one than `min` is used throughout
  int count = 0;                             ///< of waits; 0: until the longest was waited three times
};

/// Each wait is used three times, then doubled up to the longest.
class Backoff {
 public:
  explicit Backoff(BackoffOptions options) : options_(options) {}
  /// How long to wait now; nothing: give up.
  std::optional<Duration> next();
  void reset() { tried_ = 0; }

 private:
  const BackoffOptions options_;
  int tried_ = 0;
};

}  // namespace postern::device
