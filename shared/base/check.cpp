#include "shared/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace postern {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "assertion failed: %s (%s:%d)\n", condition, file, line);
  std::fflush(nullptr);
  std::abort();
}

}  // namespace postern
