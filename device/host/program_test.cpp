#include "device/host/program.hpp"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "shared/async/run.hpp"
#include "shared/async/within.hpp"
#include "shared/io/file.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern::device {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class ProgramTest : public ::testing::Test {
 protected:
  static Program shell(std::string script) {
    return {.command = {"/bin/sh", "-c", std::move(script)}, .limit = 20s, .kill_delay = 200ms};
  }
  Result<ProgramEnd> run(Program program) {
    net::io_context context(1);
    return postern::run(context, run_program(std::move(program), clock_,
                                             [this](std::string_view line) { lines_.emplace_back(line); }));
  }
  static bool is_alive(const std::string& pid) { return ::kill(std::stoi(pid), 0) == 0; }

  SystemClock clock_;
  std::vector<std::string> lines_;
  testing::TemporaryDirectory directory_;
};

TEST_F(ProgramTest, GivesOutputLinesAndExitCode) {
  const auto end = run(shell("echo out; echo one >&2; printf two >&2; exit 3"));
  ASSERT_TRUE(end) << end.error().what;
  EXPECT_EQ(end->exit_code, 3);
  EXPECT_EQ(end->output, "out\n");
  EXPECT_THAT(lines_, ElementsAre("one", "two"));
}

TEST_F(ProgramTest, GivesOutputAsLinesWhenAskedTo) {
  Program program = shell("echo a; echo b >&2; echo c");
  program.output_to_lines = true;
  const auto end = run(std::move(program));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->output, "");
  EXPECT_THAT(lines_, ElementsAre("a", "b", "c"));
}

TEST_F(ProgramTest, CutsLinesThatHaveNoEnd) {
  const auto end = run(shell("head -c 20000 /dev/zero | tr '\\0' x >&2"));
  ASSERT_TRUE(end);
  ASSERT_EQ(lines_.size(), 3U);
  EXPECT_EQ(lines_[0].size() + lines_[1].size() + lines_[2].size(), 20000U);
}

TEST_F(ProgramTest, ReadsAllOfALargeOutput) {
  Program program = shell("head -c 3000000 /dev/zero");
  program.output_bytes_max = 3'000'000;
  const auto end = run(std::move(program));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->output.size(), 3'000'000U);
}

TEST_F(ProgramTest, RefusesMoreOutputThanIsAllowed) {
  Program program = shell("head -c 3000000 /dev/zero");
  program.output_bytes_max = 1000;
  const auto end = run(std::move(program));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().reason, Reason::too_large);
}

TEST_F(ProgramTest, TellsOfASignalAsTheShellDoes) {
  EXPECT_EQ(run(shell("kill -SEGV $$"))->exit_code, 128 + SIGSEGV);
}

TEST_F(ProgramTest, TellsWhenThereIsNoSuchProgram) {
  const auto missing = run({.command = {directory_.path() + "/none"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason, Reason::not_found);
  const std::string path = directory_.path() + "/plain";
  ASSERT_TRUE(write_file(path, "#!/bin/sh\n", 0600, Existing::refuse));
  const auto plain = run({.command = {path}});
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().reason, Reason::not_found);
}

TEST_F(ProgramTest, RunsInADirectoryWithAnEnvironmentAndNoInput) {
  Program program = shell("pwd; echo $POSTERN_TEST $HOME; cat");
  program.directory = directory_.path();
  program.environment = {{"POSTERN_TEST", "yes"}, {"HOME", "/elsewhere"}};
  EXPECT_EQ(run(std::move(program))->output, directory_.path() + "\nyes /elsewhere\n");
}

TEST_F(ProgramTest, StartsWithDefaultSignalsAndNoDescriptorsOfOurs) {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  const int inherited = ::dup(STDOUT_FILENO);
  ASSERT_GT(inherited, STDERR_FILENO);
  // The last digits are the signals from 1 to 28.
  const auto end = run(shell("grep SigIgn /proc/self/status | tail -c 8; ls /proc/$$/fd | tr '\\n' ' '"));
  ::close(inherited);
  ::signal(SIGPIPE, before);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->output, "0000000\n0 1 2 ");
}

TEST_F(ProgramTest, EndsAProgramThatRunsTooLong) {
  Program program = shell("echo $$; trap 'echo told >&2; exit 0' TERM; sleep 30 & wait");
  program.limit = 100ms;
  const auto end = run(std::move(program));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind, Kind::exhausted);
  EXPECT_EQ(end.error().reason, Reason::timed_out);
  EXPECT_THAT(lines_, ElementsAre("told"));
}

TEST_F(ProgramTest, KillsTheGroupOfAProgramThatWillNotEnd) {
  const std::string pids = directory_.path() + "/pids";
  Program program = shell(fmt::format(
      "trap '' TERM; (trap '' TERM; sleep 30) & echo $! > {0}; echo $$ >> {0}; sleep 30; sleep 30", pids));
  program.limit = 200ms;
  const auto end = run(std::move(program));
  ASSERT_FALSE(end);
  const std::string text = *read_file(pids);
  const auto middle = text.find('\n');
  EXPECT_FALSE(is_alive(text.substr(middle + 1)));
  // The grandchild is reaped by whoever adopts it; until then it is a zombie.
  for (int i = 0; i < 100 && is_alive(text.substr(0, middle)); ++i) ASSERT_TRUE(run(shell("sleep 0.02")));
  const auto status = read_file(fmt::format("/proc/{}/status", text.substr(0, middle)));
  EXPECT_TRUE(!status || status->contains("State:\tZ"));
}

TEST_F(ProgramTest, DoesNotWaitForWhatAProgramLeavesRunning) {
  const SteadyTime begin = clock_.now();
  const auto end = run(shell("sleep 5 & echo $!"));
  ASSERT_TRUE(end);
  EXPECT_LT(clock_.now() - begin, 4s);
  EXPECT_TRUE(is_alive(end->output));
  ::kill(std::stoi(end->output), SIGKILL);
}

TEST_F(ProgramTest, CancellingEndsTheProgram) {
  const std::string path = directory_.path() + "/told";
  net::io_context context(1);
  const SteadyTime begin = clock_.now();
  const auto end = postern::run(
      context,
      within(
          clock_, 200ms,
          run_program(shell(fmt::format("trap 'echo yes > {}; exit' TERM; sleep 30 & wait", path)), clock_)));
  ASSERT_FALSE(end);
  EXPECT_LT(clock_.now() - begin, 10s);
  EXPECT_EQ(*read_file(path), "yes\n");
}

TEST_F(ProgramTest, LeavesNoZombieAndNoDescriptor) {
  const auto open_count = [] {
    DIR* directory = ::opendir("/proc/self/fd");
    int count = 0;
    while (::readdir(directory) != nullptr) ++count;
    ::closedir(directory);
    return count;
  };
  const int before = open_count();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(run(shell("exit 1")));
  EXPECT_EQ(open_count(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(ProgramTest, KillsTheProgramWhenNobodyWaitsAnyMore) {
  {
    net::io_context context(1);
    net::co_spawn(context, run_program(shell("sleep 30"), clock_),
                  [](const std::exception_ptr&, const Result<ProgramEnd>&) {});
    context.poll();
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

}  // namespace
}  // namespace postern::device
