#include "cloud/cli/program.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "shared/async/run.hpp"
#include "shared/io/file.hpp"

namespace postern::cli {
namespace {

/// A server reads an upload to its end, and makes it durable, before it answers.
constexpr Duration kResponseMax = std::chrono::minutes(5);

/// Unlike fmt::print it does not throw when nobody reads standard error any more.
void say(std::string_view line) {
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace

int fail(const Error& error) {
  say(fmt::format("postern: error: {}\n", error.what));
  return kFailed;
}

int write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return 0;
  if (errno == EPIPE) return kFailed;  // whoever reads has seen enough
  return fail(from_errno(errno, "write to standard output"));
}

Result<std::unique_ptr<Program>> Program::make(const Session& flags, Output output) {
  POSTERN_TRY(std::string path, session_path(system_environment()));
  POSTERN_TRY(Session stored, load_session(path));
  Session session = effective_session(std::move(stored), system_environment(), flags);
  TlsClientOptions trust;
  if (!session.ca.empty()) {
    POSTERN_TRY(trust.trust_pem, about("--ca", read_file(session.ca)));
    if (trust.trust_pem.empty()) return invalid(fmt::format("--ca: {} is empty", session.ca));
  }
  POSTERN_TRY(auto tls, about(fmt::format("--ca {}", session.ca), TlsClientContext::make(trust)));
  return std::unique_ptr<Program>(new Program(std::move(path), std::move(session), std::move(tls), output));
}

Program::Program(std::string path, Session session, std::shared_ptr<const TlsClientContext> tls,
                 Output output)
    : path_(std::move(path)),
      session_(std::move(session)),
      output_(output),
      http_(network_, clock_, {.tls = std::move(tls), .response_max = kResponseMax}) {}

template <class T>
Result<T> Program::run_command(const std::function<net::awaitable<Result<T>>(Context&)>& command) {
  POSTERN_TRY(ApiClient api, ApiClient::make(http_, session_));
  Context context{.api = api,
                  .clock = clock_,
                  .random = random_,
                  .pool = pool_,
                  .screen = standard_error(),
                  .output = output_};
  context_.restart();
  return run(context_, command(context));
}

int Program::print(const std::function<Text(Context&)>& command) {
  const auto text = run_command(command);
  return text ? write_out(*text) : fail(text.error());
}

int Program::print(const std::function<ReportOrError(Context&)>& command, int exit_status) {
  const auto report = run_command(command);
  if (!report) return fail(report.error());
  const int written = write_out(report->text);
  for (const std::string& failure : report->failures) say(fmt::format("postern: error: {}\n", failure));
  return report->failures.empty() ? written : exit_status;
}

int Program::create_deployment(CreateOptions options, bool then_watch, Duration timeout) {
  std::string shown;
  const auto id = run_command<std::string>([&](Context& context) -> Text {
    POSTERN_CO_TRY(std::string made, co_await cli::create_deployment(context, options));
    shown = deployment_created(context, made);
    co_return made;
  });
  if (!id) return fail(id.error());
  if (!then_watch) return write_out(shown);
  say(fmt::format("deployment {}\n", *id));
  return print([&](Context& context) { return watch_deployment(context, *id, timeout); }, kDeploymentFailed);
}

int Program::log_in(const std::string& name, const std::string& password) {
  const auto token =
      run_command<std::string>([&](Context& context) { return context.api.log_in(name, password); });
  if (!token) return fail(token.error());
  session_.token = *token;
  // The session is used from other directories as well.
  if (!session_.ca.empty()) {
    std::error_code error;
    session_.ca = std::filesystem::absolute(session_.ca, error).string();
    if (error) return fail(from_errno(error.value(), "look up the working directory"));
  }
  if (const Status saved = save_session(path_, session_); !saved) return fail(saved.error());
  say(fmt::format("logged in at {}\n", session_.server));
  return 0;
}

int Program::log_out() {
  if (session_.token.empty()) {
    say("not logged in\n");
    return 0;
  }
  const auto ended = run_command<std::string>([](Context& context) -> Text {
    POSTERN_CO_CHECK(co_await context.api.log_out());
    co_return std::string();
  });
  // Forgotten here in any case, unless it came from elsewhere. One that the server does not know is as good
  // as ended.
  auto stored = load_session(path_);
  if (!stored) return fail(stored.error());
  if (stored->server == session_.server && stored->token == session_.token) {
    stored->token.clear();
    if (const Status saved = save_session(path_, *stored); !saved) return fail(saved.error());
  }
  if (ended || ended.error().reason == Reason::unauthorized) return 0;
  return fail(Error(ended.error()).within("the token is forgotten here, but still valid at the server"));
}

}  // namespace postern::cli
