#include "cloud/cli/password.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "shared/io/file.hpp"

namespace postern::cli {
namespace {

constexpr std::size_t kPasswordBytesMax = 4096;

std::string without_line_end(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

/// Switches a terminal's echo off, and holds back the signals that would end the program and leave it off;
/// the destructor undoes both, and a signal that came meanwhile then takes its course.
class SilentTerminal {
 public:
  static Result<std::unique_ptr<SilentTerminal>> make(int terminal) {
    std::unique_ptr<SilentTerminal> made(new SilentTerminal(terminal));
    if (tcgetattr(terminal, &made->before_) != 0) return from_errno(errno, "read the terminal's settings");
    sigset_t ending;
    sigemptyset(&ending);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&ending, number);
    sigprocmask(SIG_BLOCK, &ending, &made->mask_before_);
    made->is_silent_ = true;
    made->signals_ = signalfd(-1, &ending, SFD_CLOEXEC);
    termios silent = made->before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (made->signals_ < 0 || tcsetattr(terminal, TCSAFLUSH, &silent) != 0) {
      return from_errno(errno, "silence the terminal");
    }
    return made;
  }
  ~SilentTerminal() {
    if (signals_ >= 0) ::close(signals_);
    if (!is_silent_) return;
    tcsetattr(terminal_, TCSAFLUSH, &before_);
    sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

  /// Waits for a line. Errors: cancelled, when a signal came first.
  Status wait() const {
    std::array<pollfd, 2> sources{{{terminal_, POLLIN, 0}, {signals_, POLLIN, 0}}};
    if (::poll(sources.data(), sources.size(), -1) < 0) return from_errno(errno, "wait for the password");
    if (sources[1].revents != 0) return cancelled("interrupted");
    return {};
  }

 private:
  explicit SilentTerminal(int terminal) : terminal_(terminal) {}

  int terminal_;
  int signals_ = -1;
  bool is_silent_ = false;
  termios before_{};
  sigset_t mask_before_{};
};

Result<std::string> read_line(int fd) {
  std::string line;
  while (line.size() < kPasswordBytesMax) {
    char next = 0;
    const ssize_t count = ::read(fd, &next, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return from_errno(errno, "read the password");
    if (count == 0 || next == '\n') return line;
    line.push_back(next);
  }
  return rejected(Reason::too_large, "the password is too long");
}

Result<std::string> ask(int terminal, const char* question) {
  (void)std::fputs(question, stderr);
  auto line = [&]() -> Result<std::string> {
    POSTERN_TRY(const auto silent, SilentTerminal::make(terminal));
    POSTERN_CHECK(silent->wait());
    return read_line(terminal);
  }();
  (void)std::fputs("\n", stderr);
  return line;
}

Result<std::string> ask_twice(int terminal) {
  POSTERN_TRY(std::string first, ask(terminal, "New password: "));
  POSTERN_TRY(const std::string second, ask(terminal, "The same again: "));
  if (first != second) return invalid("these were two different passwords");
  return first;
}

/// Where to look, and what to ask.
struct Source {
  const char* option;
  const char* variable;
  Result<std::string> (*ask)(int terminal);
};

Result<std::string> get(const Source& source, const std::string& file, const Environment& environment) {
  std::string password;
  if (!file.empty()) {
    POSTERN_TRY(password, read_file(file, kPasswordBytesMax));
  } else if (auto variable = environment(source.variable)) {
    password = *std::move(variable);
  } else if (isatty(STDIN_FILENO) == 1) {
    POSTERN_TRY(password, source.ask(STDIN_FILENO));
  } else {
    POSTERN_TRY(password, read_line(STDIN_FILENO));
  }
  password = without_line_end(std::move(password));
  if (password.empty()) {
    return invalid(fmt::format("no password: type it, or give {} or {}", source.option, source.variable));
  }
  return password;
}

}  // namespace

Result<std::string> get_password(const std::string& file, const Environment& environment) {
  const Source source{.option = "--password-file", .variable = "POSTERN_PASSWORD", .ask = [](int terminal) {
                        return ask(terminal, "Password: ");
                      }};
  return get(source, file, environment);
}

Result<std::string> get_new_password(const std::string& file, const Environment& environment) {
  const Source source{.option = "--new-password-file", .variable = "POSTERN_NEW_PASSWORD", .ask = ask_twice};
  return get(source, file, environment);
}

}  // namespace postern::cli
