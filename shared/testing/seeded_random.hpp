// Randomness that a seed repeats.
#pragma once

#include <mutex>
#include <random>

#include "shared/base/random.hpp"

namespace postern::testing {

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}

  void fill(MutableBytes out) override {
    const std::scoped_lock lock(mutex_);
    for (std::byte& b : out) b = static_cast<std::byte>(engine_() & 0xff);
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

}  // namespace postern::testing
