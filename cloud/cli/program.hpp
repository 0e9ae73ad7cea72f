// The part of `postern` that stands between the command line and the commands: session, connection, exit
// status.
#pragma once

#include <boost/asio/io_context.hpp>

#include "cloud/cli/commands.hpp"
#include "shared/transport/tcp.hpp"

namespace postern::cli {

inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;
inline constexpr int kDeploymentFailed = 3;

/// Prints an error for people; returns kFailed.
int fail(const Error& error);
/// Prints to standard output; returns the exit status.
int write_out(std::string_view text);

/// Runs one command on the machine's network and clock. Each call returns the exit status.
class Program {
 public:
  /// Reads the session file and the CA file. `flags` win over environment and file. Errors: not_found,
  /// invalid.
  static Result<std::unique_ptr<Program>> make(const Session& flags, Output output);

  /// Runs a command and prints what it returns.
  int print(const std::function<Text(Context&)>& command);
  /// The same for a report; failures in it end with `exit_status`.
  int print(const std::function<ReportOrError(Context&)>& command, int exit_status);
  int create_deployment(CreateOptions options, bool then_watch, Duration timeout);
  int log_in(const std::string& name, const std::string& password);
  int log_out();

 private:
  Program(std::string path, Session session, std::shared_ptr<const TlsClientContext> tls, Output output);

  template <class T>
  Result<T> run_command(const std::function<net::awaitable<Result<T>>(Context&)>& command);

  std::string path_;
  Session session_;
  Output output_;
  SystemClock clock_;
  SystemRandom random_;
  SystemNetwork network_;
  net::io_context context_{1};
  Pool pool_{1};
  http::Client http_;
};

}  // namespace postern::cli
