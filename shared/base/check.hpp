// Assertions for what only a bug of ours can break. On in every build.
#pragma once

namespace postern {
/// Prints the condition and its place to standard error and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace postern

#define POSTERN_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::postern::assertion_failed(#condition, __FILE__, __LINE__))
