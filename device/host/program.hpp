// Running the programs of others: identity and inventory scripts, update modules.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/base/clock.hpp"

namespace postern::device {

namespace net = boost::asio;

struct Program {
  std::vector<std::string> command;                              ///< path and arguments; no shell is involved
  std::string directory;                                         ///< where it runs; empty: where we run
  std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours
  Duration limit = std::chrono::seconds(10);                     ///< then SIGTERM
  Duration kill_delay = std::chrono::seconds(10);                ///< then SIGKILL, to its whole process group
  std::size_t output_bytes_max = 1 << 20;  ///< of standard output that is kept; beyond it: an error
  bool output_to_lines = false;  ///< standard output goes where standard error goes; none of it is kept
};

struct ProgramEnd {
  int exit_code = 0;   ///< 128 + n when signal n ended it
  std::string output;  ///< of standard output
};

/// Gets each line that a program writes to standard error (and, where asked for, to standard output).
using OnLine = std::function<void(std::string_view line)>;

/// Runs a program to its end, in a process group of its own, with standard input from /dev/null, and
/// descriptors other than the three standard ones closed. Cancelling ends the program like the limit does.
/// Errors: not_found (no such program, not executable), exhausted with timed_out (beyond the limit),
/// too_large (output), transient (no process).
net::awaitable<Result<ProgramEnd>> run_program(Program program, Clock& clock, OnLine on_error_line = {});

}  // namespace postern::device
