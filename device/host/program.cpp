#include "device/host/program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/async/event.hpp"
#include "shared/async/within.hpp"
#include "shared/base/check.hpp"
#include "shared/io/descriptor.hpp"

extern char** environ;  // NOLINT: the name is POSIX's

namespace postern::device {
namespace {

/// A longer line is given out in pieces.
constexpr std::size_t kLineBytesMax = 8 << 10;
/// How much is read in one go, so that a program that writes without end does not keep us from all else.
constexpr std::size_t kTurnBytesMax = 256 << 10;
/// What may be in a pipe when the program has ended; one who still writes then is not waited for.
constexpr std::size_t kLeftoverBytesMax = 1 << 20;

struct Pipe {
  Descriptor read;
  Descriptor write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return from_errno(errno, "make a pipe");
  Pipe pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  // Only our end: the flag belongs to one end of a pipe, and programs expect to block.
  if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return from_errno(errno, "set up a pipe");
  return pipe;
}

/// Our environment with `added` over it, each as NAME=value.
std::vector<std::string> merge_environment(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (std::ranges::find(added, name, [](const auto& pair) { return std::string_view(pair.first); }) ==
        added.end()) {
      merged.emplace_back(text);
    }
  }
  for (const auto& [name, value] : added) merged.push_back(fmt::format("{}={}", name, value));
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// What posix_spawn does in the new process. Its calls fail for lack of memory only.
class SpawnPlan {
 public:
  SpawnPlan() {
    POSTERN_ASSERT(posix_spawn_file_actions_init(&actions_) == 0);
    POSTERN_ASSERT(posix_spawnattr_init(&attributes_) == 0);
    // We ignore SIGPIPE and may hold signals back; a program starts as it would from a shell.
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void set_streams(int output, int errors) {
    POSTERN_ASSERT(posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO) == 0);
    POSTERN_ASSERT(posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO) == 0);
    POSTERN_ASSERT(posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0);
    POSTERN_ASSERT(posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1) == 0);
  }
  void set_directory(const std::string& directory) {
    POSTERN_ASSERT(posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str()) == 0);
  }
  /// Returns an errno.
  int spawn(pid_t& pid, char** arguments, char** environment) const {
    return ::posix_spawn(&pid, arguments[0], &actions_, &attributes_, arguments, environment);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Cuts what a program writes into lines.
class LineSplitter {
 public:
  explicit LineSplitter(OnLine on_line) : on_line_(std::move(on_line)) {}

  void feed(std::string_view text) {
    if (!on_line_) return;
    while (!text.empty()) {
      const auto end = text.find('\n');
      const std::size_t room = kLineBytesMax - line_.size();
      const std::size_t count = std::min(end == std::string_view::npos ? text.size() : end, room);
      line_.append(text.substr(0, count));
      text.remove_prefix(count);
      const bool is_whole = text.starts_with('\n');
      if (is_whole) text.remove_prefix(1);
      if (is_whole || line_.size() == kLineBytesMax) give();
    }
  }
  /// What came without a line end.
  void finish() {
    if (!line_.empty()) give();
  }

 private:
  void give() {
    on_line_(line_);
    line_.clear();
  }

  OnLine on_line_;
  std::string line_;
};

/// A running program, and what it has written so far. Runs on: one executor.
class Child : public std::enable_shared_from_this<Child> {
 public:
  Child(const net::any_io_executor& executor, const Program& program, OnLine on_error_line)
      : end_(executor),
        output_(executor),
        errors_(executor),
        ended_(executor),
        command_(program.command.front()),
        output_bytes_max_(program.output_bytes_max),
        lines_(std::move(on_error_line)) {}
  ~Child() {
    if (pid_ <= 0 || ended_.is_set()) return;
    ::kill(-pid_, SIGKILL);
    reap();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Status start(Program& program);
  net::awaitable<Status> wait() { co_return co_await ended_.wait(); }
  /// Sends a signal to the whole group. What is left of it once the program has ended is killed.
  void end_group(int signal) {
    is_ending_ = true;
    if (!ended_.is_set()) ::kill(-pid_, signal);
  }
  Result<ProgramEnd> take_end();

 private:
  using Stream = net::posix::stream_descriptor;
  using Sink = void (Child::*)(std::string_view);

  void watch(Stream& stream, Sink sink);
  void watch_end();
  /// Reads what is there, up to about `bytes_max`; closes the stream at its end.
  void read_ready(Stream& stream, Sink sink, std::size_t bytes_max);
  void take_output(std::string_view text) {
    const std::size_t room = output_bytes_max_ - program_end_.output.size();
    is_too_large_ = is_too_large_ || text.size() > room;
    program_end_.output += text.substr(0, room);
  }
  void take_errors(std::string_view text) { lines_.feed(text); }
  void reap();

  Stream end_;  ///< readable once the program has ended
  Stream output_;
  Stream errors_;
  Event ended_;
  const std::string command_;
  const std::size_t output_bytes_max_;
  LineSplitter lines_;
  pid_t pid_ = 0;
  ProgramEnd program_end_;
  bool is_too_large_ = false;
  bool is_ending_ = false;
};

Error spawn_error(int error_number, const std::string& command) {
  const std::string context = fmt::format("run {}", command);
  switch (error_number) {
    case ENOENT:
    case EACCES:
    case ENOEXEC:
    case ENOTDIR: {
      Error error = from_errno(error_number, context);
      return not_found(std::move(error.what));
    }
    default:
      return from_errno(error_number, context);
  }
}

Status Child::start(Program& program) {
  POSTERN_TRY(Pipe errors, make_pipe());
  Pipe output;
  if (!program.output_to_lines) {
    POSTERN_TRY(output, make_pipe());
  }
  SpawnPlan plan;
  plan.set_streams(program.output_to_lines ? errors.write.get() : output.write.get(), errors.write.get());
  if (!program.directory.empty()) plan.set_directory(program.directory);
  auto environment = merge_environment(program.environment);
  const int failed = plan.spawn(pid_, pointers(program.command).data(), pointers(environment).data());
  if (failed != 0) {
    pid_ = 0;
    return spawn_error(failed, command_);
  }
  const int end = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (end < 0) return from_errno(errno, fmt::format("watch {}", command_));
  end_.assign(end);
  errors_.assign(errors.read.release());
  watch(errors_, &Child::take_errors);
  if (!program.output_to_lines) {
    output_.assign(output.read.release());
    watch(output_, &Child::take_output);
  }
  watch_end();
  return {};
}

void Child::watch(Stream& stream, Sink sink) {
  stream.async_wait(Stream::wait_read,
                    [self = shared_from_this(), &stream, sink](boost::system::error_code e) {
                      if (e) return;
                      self->read_ready(stream, sink, kTurnBytesMax);
                      if (stream.is_open()) self->watch(stream, sink);
                    });
}

void Child::read_ready(Stream& stream, Sink sink, std::size_t bytes_max) {
  std::array<char, 16 << 10> buffer;
  std::size_t total = 0;
  while (stream.is_open() && total < bytes_max) {
    const ssize_t count = ::read(stream.native_handle(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      stream.close();
      return;
    }
    total += static_cast<std::size_t>(count);
    (this->*sink)({buffer.data(), static_cast<std::size_t>(count)});
  }
}

void Child::watch_end() {
  end_.async_wait(Stream::wait_read, [self = shared_from_this()](boost::system::error_code e) {
    if (e) return;
    // The number of the group cannot be used anew before the program is reaped.
    if (self->is_ending_) ::kill(-self->pid_, SIGKILL);
    self->reap();
    self->read_ready(self->output_, &Child::take_output, kLeftoverBytesMax);
    self->read_ready(self->errors_, &Child::take_errors, kLeftoverBytesMax);
    self->lines_.finish();
    self->end_.close();
    self->output_.close();
    self->errors_.close();
    self->ended_.set();
  });
}

void Child::reap() {
  siginfo_t info{};
  int failed = 0;
  do {
    failed = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
  } while (failed != 0 && errno == EINTR);
  POSTERN_ASSERT(failed == 0);
  program_end_.exit_code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

Result<ProgramEnd> Child::take_end() {
  if (is_too_large_) {
    return rejected(Reason::too_large,
                    fmt::format("{} printed more than {} bytes", command_, output_bytes_max_));
  }
  return std::move(program_end_);
}

/// Waits for the end of a program. False: not within `limit`. Errors: cancelled.
net::awaitable<Result<bool>> wait_for_end(Child& child, Clock& clock, Duration limit) {
  const Status ended = co_await within(clock, limit, child.wait());
  if (ended) co_return true;
  if (ended.error().reason == Reason::timed_out) co_return false;
  co_return ended.error();
}

/// Runs in a coroutine of its own, so that it can go on waiting when the caller's was cancelled.
net::awaitable<Result<ProgramEnd>> supervise(std::shared_ptr<Child> child, Clock& clock, Program program) {
  co_await net::this_coro::throw_if_cancelled(false);
  const std::string command = program.command.front();
  auto ended = co_await wait_for_end(*child, clock, program.limit);
  if (ended && *ended) co_return child->take_end();

  co_await net::this_coro::reset_cancellation_state(net::disable_cancellation());
  child->end_group(SIGTERM);
  POSTERN_CO_TRY(const bool obeyed, co_await wait_for_end(*child, clock, program.kill_delay));
  if (!obeyed) {
    child->end_group(SIGKILL);
    POSTERN_CO_CHECK(co_await child->wait());
  }
  if (!ended) co_return std::move(ended).error().within(command);
  const auto seconds = std::chrono::duration<double>(program.limit).count();
  co_return Error{Kind::exhausted, Reason::timed_out,
                  fmt::format("{} was ended: it ran for more than {} s", command, seconds)};
}

}  // namespace

net::awaitable<Result<ProgramEnd>> run_program(Program program, Clock& clock, OnLine on_error_line) {
  POSTERN_ASSERT(!program.command.empty());
  const auto executor = co_await net::this_coro::executor;
  const auto child = std::make_shared<Child>(executor, program, std::move(on_error_line));
  POSTERN_CO_CHECK(child->start(program));
  co_return co_await net::co_spawn(executor, supervise(child, clock, std::move(program)), net::use_awaitable);
}

}  // namespace postern::device
