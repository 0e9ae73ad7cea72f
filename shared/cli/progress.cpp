#include "shared/cli/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "shared/cli/table.hpp"

namespace postern::cli {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kBarWidth = 30;
constexpr Duration kTerminalInterval = 100ms;
constexpr Duration kLineInterval = 5s;

std::string bar(double share) {
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBarWidth));
  return fmt::format("{:3}% [{}{}]", static_cast<int>(share * 100), std::string(filled, '#'),
                     std::string(kBarWidth - filled, '.'));
}

}  // namespace

Screen standard_error() {
  Screen screen;
  screen.write = [](std::string_view text) { (void)std::fwrite(text.data(), 1, text.size(), stderr); };
  screen.is_terminal = isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (screen.is_terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) {
    screen.columns = size.ws_col;
  }
  return screen;
}

Progress::Progress(Screen screen, Clock& clock, std::string label, std::uint64_t total, Unit unit)
    : screen_(std::move(screen)),
      clock_(clock),
      label_(std::move(label)),
      total_(total),
      unit_(unit),
      begun_(clock.now()) {}

Progress::~Progress() {
  if (line_is_open_) screen_.write("\n");
}

std::string Progress::describe(std::uint64_t done, std::string_view detail) const {
  const double share =
      total_ == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
  std::string text = fmt::format("{} {}", label_, bar(share));
  if (unit_ == Unit::things) {
    text += fmt::format(" {}/{}", done, total_);
  } else {
    const double seconds = std::chrono::duration<double>(clock_.now() - begun_).count();
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    text += fmt::format(" {:.1f} MiB/s", rate / (1 << 20));
    if (rate > 0 && done < total_) {
      const std::chrono::duration<double> left(static_cast<double>(total_ - done) / rate);
      text += fmt::format(", {} left", human_duration(std::chrono::ceil<std::chrono::seconds>(left)));
    }
  }
  return detail.empty() ? text : fmt::format("{}  {}", text, detail);
}

void Progress::draw(std::string line) {
  drawn_ = clock_.now();
  if (line == shown_) return;
  if (screen_.is_terminal) {
    screen_.write(fmt::format("\r{}\033[K", fit(line, screen_.columns - 1)));
    line_is_open_ = true;
  } else {
    screen_.write(line + "\n");
  }
  shown_ = std::move(line);
}

void Progress::update(std::uint64_t done, std::string_view detail) {
  const Duration interval = screen_.is_terminal ? kTerminalInterval : kLineInterval;
  if (drawn_ && clock_.now() - *drawn_ < interval) return;
  draw(describe(done, detail));
}

void Progress::finish(std::uint64_t done, std::string_view detail) {
  draw(describe(done, detail));
  if (line_is_open_) screen_.write("\n");
  line_is_open_ = false;
}

}  // namespace postern::cli
