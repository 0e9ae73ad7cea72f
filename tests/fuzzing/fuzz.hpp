// What the fuzz targets have in common.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "shared/base/bytes.hpp"

namespace postern::fuzzing {

/// A property of the code under test. Ends the process when it does not hold, which is what a fuzzer looks
/// for.
inline void require(bool holds, const char* what) {
  if (holds) return;
  (void)std::fprintf(stderr, "the property does not hold: %s\n", what);
  std::abort();
}

/// Takes decisions and data from the front of what the fuzzer gives.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(std::as_bytes(std::span(data, size))) {}

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return value;
  }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
  /// Up to the next line feed, or all there is.
  std::string line() {
    const std::string_view text = as_text(rest_);
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    rest_ = rest_.subspan(std::min(end + 1, rest_.size()));
    return line;
  }
  Bytes rest() const { return rest_; }
  std::string text() const { return std::string(as_text(rest_)); }

 private:
  Bytes rest_;
};

/// Sizes into which an input is cut, the same ones again for the same seed: single bytes, or few, or many.
class Cuts {
 public:
  explicit Cuts(std::uint32_t seed) : state_(seed * 2654435761U + 1), is_bytewise_(seed % 4 == 0) {}
  std::size_t next(std::size_t left) {
    if (is_bytewise_) return std::min<std::size_t>(left, 1);
    state_ = state_ * 1664525U + 1013904223U;
    const std::size_t most = std::size_t{1} << (state_ >> 28);
    return std::min<std::size_t>(left, 1 + (state_ >> 8) % most);
  }

 private:
  std::uint32_t state_;
  bool is_bytewise_;
};

}  // namespace postern::fuzzing

/// The target: looks at one input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
