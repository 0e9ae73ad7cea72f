#include "shared/io/residency.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace postern {
namespace {

struct Pages {
  std::byte* begin;
  std::size_t bytes;
};

std::size_t page_bytes() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

Pages pages_under(Bytes mapped) {
  const auto address = reinterpret_cast<std::uintptr_t>(mapped.data());
  const std::uintptr_t begin = address - (address % page_bytes());
  return {reinterpret_cast<std::byte*>(begin), address + mapped.size() - begin};
}

}  // namespace

bool is_resident(Bytes mapped) {
  constexpr std::size_t kPagesAtOnce = 512;
  std::array<unsigned char, kPagesAtOnce> states;
  Pages pages = pages_under(mapped);
  while (pages.bytes > 0) {
    const std::size_t bytes = std::min(pages.bytes, kPagesAtOnce * page_bytes());
    if (mincore(pages.begin, bytes, states.data()) != 0) return false;
    const std::size_t count = (bytes + page_bytes() - 1) / page_bytes();
    if (!std::all_of(states.begin(), states.begin() + count, [](unsigned char s) { return (s & 1) != 0; })) {
      return false;
    }
    pages.begin += bytes;
    pages.bytes -= bytes;
  }
  return true;
}

Status fault_in(Bytes mapped) {
  const Pages pages = pages_under(mapped);
  if (madvise(pages.begin, pages.bytes, MADV_POPULATE_READ) == 0) return {};
  if (errno == EFAULT || errno == EHWPOISON) return corrupt("the disk does not give back what was stored");
  // A kernel that cannot do it at once: page by page, then.
  volatile unsigned char sum = 0;
  for (std::size_t at = 0; at < mapped.size(); at += page_bytes()) {
    sum = static_cast<unsigned char>(sum ^ static_cast<unsigned char>(mapped[at]));
  }
  return {};
}

void read_ahead(Bytes mapped) {
  const Pages pages = pages_under(mapped);
  (void)madvise(pages.begin, pages.bytes, MADV_WILLNEED);  // only a wish
}

}  // namespace postern
