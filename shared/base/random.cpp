#include "shared/base/random.hpp"

#include <sys/random.h>

#include "shared/base/check.hpp"

namespace postern {

std::uint64_t Random::next_u64() {
  std::uint64_t value = 0;
  fill(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

std::uint64_t Random::below(std::uint64_t bound) {
  POSTERN_ASSERT(bound > 0);
  // Values from the incomplete last stretch would favour small results, so they are drawn again.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  for (;;) {
    const std::uint64_t value = next_u64();
    if (value < limit) return value % bound;
  }
}

std::vector<std::byte> Random::bytes(std::size_t count) {
  std::vector<std::byte> out(count);
  fill(out);
  return out;
}

std::string Random::uuid() {
  std::array<std::byte, 16> raw{};
  fill(raw);
  raw[6] = (raw[6] & std::byte{0x0f}) | std::byte{0x40};
  raw[8] = (raw[8] & std::byte{0x3f}) | std::byte{0x80};
  std::string text(36, '-');
  std::size_t at = 0;
  for (const char digit : to_hex(raw)) {
    if (at == 8 || at == 13 || at == 18 || at == 23) ++at;
    text[at++] = digit;
  }
  return text;
}

namespace {

void ask_system(MutableBytes out) {
  while (!out.empty()) {
    const ssize_t count = ::getrandom(out.data(), std::min<std::size_t>(out.size(), 256), 0);
    if (count < 0 && errno == EINTR) continue;
    POSTERN_ASSERT(count > 0);
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

/// Randomness of one thread that nobody has used yet: a server needs a few bytes for every request, and a
/// system call for each costs more than they do.
struct Stock {
  std::array<std::byte, 256> bytes;
  std::size_t used = 256;
};

}  // namespace

void SystemRandom::fill(MutableBytes out) {
  static thread_local Stock stock;
  if (out.size() > stock.bytes.size() / 4) return ask_system(out);
  if (stock.bytes.size() - stock.used < out.size()) {
    ask_system(stock.bytes);
    stock.used = 0;
  }
  const auto given = std::span(stock.bytes).subspan(stock.used, out.size());
  std::ranges::copy(given, out.begin());
  std::ranges::fill(given, std::byte{0});  // so that it is nowhere else
  stock.used += out.size();
}

}  // namespace postern
