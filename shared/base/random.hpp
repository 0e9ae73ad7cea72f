// Randomness as something passed in, and what is made of it.
#pragma once

#include <string>

#include "shared/base/bytes.hpp"

namespace postern {

/// The only source of randomness. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableBytes out) = 0;

  std::uint64_t next_u64();
  /// Uniform in [0, bound). `bound` is at least 1.
  std::uint64_t below(std::uint64_t bound);
  std::vector<std::byte> bytes(std::size_t count);
  /// A random UUID (version 4) in its lower-case text form.
  std::string uuid();
};

/// The operating system's cryptographic generator. Aborts when the system cannot give randomness.
class SystemRandom final : public Random {
 public:
  void fill(MutableBytes out) override;
};

}  // namespace postern
