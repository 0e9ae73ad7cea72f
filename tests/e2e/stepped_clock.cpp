// A wall clock that is off by as many seconds as stand in a file (64 bits, the machine's byte order), which
// may change at any time. Preloaded into a program (stepped_clock.py), it is to that program what a machine's
// clock is that an administrator sets: the monotonic clock and all timers go on as they were.
//
// libfaketime does not do: told to leave the monotonic clock alone, it still shifts absolute times in
// timerfd_settime(), so that a timer of Asio's that is due at once fires never, or the call fails.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

const std::int64_t* offset_seconds = nullptr;

__attribute__((constructor)) void open_file() {
  const char* path = std::getenv("POSTERN_CLOCK_FILE");
  const int file = path != nullptr ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void* mapped = mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) offset_seconds = static_cast<const std::int64_t*>(mapped);
}

std::int64_t offset() {
  return offset_seconds != nullptr ? __atomic_load_n(offset_seconds, __ATOMIC_RELAXED) : 0;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, now));
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
  return result;
}

extern "C" int gettimeofday(timeval* now, void*) noexcept {
  timespec precise{};
  if (const int result = clock_gettime(CLOCK_REALTIME, &precise); result != 0) return result;
  *now = {.tv_sec = precise.tv_sec, .tv_usec = precise.tv_nsec / 1000};
  return 0;
}

extern "C" time_t time(time_t* out) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
