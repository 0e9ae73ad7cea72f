#include "cloud/cli/progress.hpp"

#include <unistd.h>

#include <cstdio>

#include "cloud/cli/table.hpp"

namespace postern::cli {

using namespace std::chrono_literals;

Progress::Progress(std::string label, std::uint64_t total, bool unit_bytes, Clock& clock)
    : label_(std::move(label)),
      total_(total),
      unit_bytes_(unit_bytes),
      clock_(clock),
      is_terminal_(isatty(STDERR_FILENO) == 1),
      started_(clock.now()) {}

std::string Progress::bar(const std::string& label, std::uint64_t done, std::uint64_t total,
                          const std::string& detail) {
  constexpr std::size_t kWidth = 30;
  const double share =
      total == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kWidth));
  return fmt::format("{} {:3.0f}% [{}{}] {}", label, std::floor(share * 100), std::string(filled, '#'),
                     std::string(kWidth - filled, ' '), detail);
}

std::string Progress::describe(std::uint64_t done, const std::string& detail) const {
  if (!unit_bytes_)
    return bar(label_, done, total_, detail.empty() ? fmt::format("{}/{}", done, total_) : detail);
  const double seconds = std::chrono::duration<double>(clock_.now() - started_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = fmt::format("{} of {}, {}/s", human_size(done), human_size(total_),
                                 human_size(static_cast<std::uint64_t>(rate)));
  if (rate > 0 && done < total_)
    text += fmt::format(", {:.0f} s left", static_cast<double>(total_ - done) / rate);
  return bar(label_, done, total_, text);
}

void Progress::update(std::uint64_t done, const std::string& detail) {
  const SteadyTime now = clock_.now();
  if (now - drawn_ < (is_terminal_ ? Duration(100ms) : Duration(3s))) return;
  drawn_ = now;
  const std::string line = describe(done, detail);
  (void)std::fprintf(stderr, is_terminal_ ? "\r\033[K%s" : "%s\n", line.c_str());
  (void)std::fflush(stderr);
}

void Progress::finish(std::uint64_t done, const std::string& detail) {
  const std::string line = describe(done, detail);
  (void)std::fprintf(stderr, is_terminal_ ? "\r\033[K%s\n" : "%s\n", line.c_str());
}

}  // namespace postern::cli
