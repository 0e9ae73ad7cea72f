#include "device/update/update_module.hpp"

#include <unistd.h>

#include "device/host/program.hpp"

namespace postern::device {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 << 10;

}  // namespace

Status UpdateModules::check(const std::string& type) const {
  if (!is_usable_payload_type(type)) {
    return rejected(Reason::unsupported,
                    fmt::format("payload type \"{}\" cannot be one of an update module", type));
  }
  const std::string path = fmt::format("{}/{}", options_.directory, type);
  if (::access(path.c_str(), X_OK) != 0) {
    return not_found(
        fmt::format("no update module for payload type {}: {} is not an executable file", type, path));
  }
  return {};
}

net::awaitable<Result<std::string>> UpdateModules::run(std::string type, std::string_view call,
                                                       bool is_query) {
  POSTERN_CO_CHECK(check(type));
  Program program{
      .command = {fmt::format("{}/{}", options_.directory, type), std::string(call), options_.tree},
      .directory = options_.tree,
      .limit = options_.call_max,
      .kill_delay = options_.kill_delay,
      .output_bytes_max = kAnswerBytesMax,
      .output_to_lines = !is_query};
  const std::string where = fmt::format("update module {}: {}", type, call);
  OnLine on_line = [this, type, call = std::string(call)](std::string_view line) {
    log_.info("module.output", {{"module", type}, {"state", call}, {"line", line}});
  };
  const SteadyTime begin = clock_.now();
  auto end = co_await run_program(std::move(program), clock_, std::move(on_line));
  if (!end) co_return std::move(end).error().within(where);
  const std::int64_t took_ms = (clock_.now() - begin) / std::chrono::milliseconds(1);
  log_.info("module.called",
            {{"module", type}, {"state", call}, {"exit_code", end->exit_code}, {"took_ms", took_ms}});
  if (end->exit_code != 0) {
    co_return rejected(Reason::none, fmt::format("{} ended with status {}", where, end->exit_code));
  }
  co_return std::move(end->output);
}

net::awaitable<Status> UpdateModules::call(std::string type, std::string_view state) {
  const auto output = co_await run(std::move(type), state, false);
  if (!output) co_return output.error();
  co_return Status{};
}

net::awaitable<Result<std::string>> UpdateModules::ask(std::string type, std::string_view query) {
  POSTERN_CO_TRY(const std::string output, co_await run(type, query, true));
  auto answer = parse_answer(output);
  if (!answer) co_return std::move(answer).error().within(fmt::format("update module {}: {}", type, query));
  log_.info("module.answered", {{"module", type}, {"query", query}, {"answer", *answer}});
  co_return answer;
}

net::awaitable<Result<bool>> UpdateModules::wants_file_sizes(std::string type) {
  POSTERN_CO_TRY(const std::string answer, co_await ask(std::move(type), "ProvidePayloadFileSizes"));
  co_return parse_yes_no(answer);
}

net::awaitable<Result<Reboot>> UpdateModules::needs_reboot(std::string type) {
  POSTERN_CO_TRY(const std::string answer, co_await ask(std::move(type), "NeedsArtifactReboot"));
  co_return parse_reboot(answer);
}

net::awaitable<Result<bool>> UpdateModules::supports_rollback(std::string type) {
  POSTERN_CO_TRY(const std::string answer, co_await ask(std::move(type), "SupportsRollback"));
  co_return parse_yes_no(answer);
}

Result<std::string> parse_answer(std::string_view output) {
  if (output.ends_with('\n')) output.remove_suffix(1);
  if (output.contains('\n')) return invalid("an answer has at most one line");
  return std::string(output);
}

Result<bool> parse_yes_no(std::string_view answer) {
  if (answer.empty() || answer == "No") return false;
  if (answer == "Yes") return true;
  return invalid(fmt::format("\"{}\" is no answer: it is Yes or No", answer));
}

Result<Reboot> parse_reboot(std::string_view answer) {
  if (answer.empty() || answer == "No") return Reboot::none;
  if (answer == "Yes") return Reboot::custom;
  if (answer == "Automatic") return Reboot::automatic;
  return invalid(fmt::format("\"{}\" is no answer: it is Yes, No or Automatic", answer));
}

}  // namespace postern::device
