#include "device/update/module_installer.hpp"

#include "device/host/program.hpp"
#include "device/update/module_download.hpp"
#include "device/update/module_tree.hpp"
#include "device/update/race.hpp"

namespace postern::device {

net::awaitable<Status> ModuleInstaller::download(http::Body& artifact, const Installed& installed,
                                                 OnHeader on_header) {
  ArtifactSteps steps(co_await net::this_coro::executor);
  ArtifactReaderOptions reading{.keys = options_.verify_keys,
                                .require_signature = options_.require_signature};
  auto taking = take(steps, installed, on_header);
  RaceEnd end = co_await race(std::move(taking), steps.read(artifact, reading, pool_));
  co_return std::move(end.status);
}

net::awaitable<Status> ModuleInstaller::take(ArtifactSteps& steps, const Installed& installed,
                                             const OnHeader& on_header) {
  // However this ends, the thread that reads has to be let go of.
  struct Stop {
    ArtifactSteps& steps;
    ~Stop() { steps.stop(); }
  } stop{steps};
  POSTERN_CO_TRY(const ArtifactStep first, co_await steps.next());
  if (first.what != ArtifactStep::What::header) co_return bug("artifact without a header");
  const ArtifactHeader& header = *first.header;
  POSTERN_CO_TRY(const std::string device_type, options_.device_type());
  POSTERN_CO_CHECK(check_header(header, device_type, installed));
  log_.info("update.header_read",
            {{"artifact", header.name}, {"payload_type", header.payload_type.value_or("")}});
  POSTERN_CO_CHECK(co_await on_header(header));
  if (!header.payload_type) {
    steps.done();
    POSTERN_CO_TRY(const ArtifactStep last, co_await steps.next());
    if (last.what != ArtifactStep::What::end) co_return bug("an empty payload with a file");
    co_return Status{};
  }
  const std::string type = *header.payload_type;
  POSTERN_CO_CHECK(build_tree(modules_.tree(), {installed, device_type}, header));
  steps.done();
  ModuleDownload module_download(modules_, steps, clock_, type);
  co_return co_await module_download.run();
}

Status ModuleInstaller::check_header(const ArtifactHeader& header, const std::string& device_type,
                                     const Installed& installed) const {
  POSTERN_CHECK(check_fits(header, device_type, installed));
  if (!header.scripts.empty()) {
    return rejected(Reason::unsupported,
                    fmt::format("artifact {} brings state scripts ({}), which this client cannot run yet",
                                header.name, fmt::join(header.scripts, ", ")));
  }
  if (header.payload_type) return modules_.check(*header.payload_type);
  return {};
}

net::awaitable<Status> ModuleInstaller::call(std::string payload_type, std::string_view state) {
  return modules_.call(std::move(payload_type), state);
}

net::awaitable<Result<Reboot>> ModuleInstaller::needs_reboot(std::string payload_type) {
  return modules_.needs_reboot(std::move(payload_type));
}

net::awaitable<Result<bool>> ModuleInstaller::supports_rollback(std::string payload_type) {
  return modules_.supports_rollback(std::move(payload_type));
}

net::awaitable<Status> ModuleInstaller::clean_up(std::string payload_type) {
  if (!has_tree(modules_.tree())) co_return Status{};
  const Status called = co_await modules_.call(std::move(payload_type), "Cleanup");
  POSTERN_CO_CHECK(remove_tree(modules_.tree()));
  co_return called;
}

net::awaitable<Status> ModuleInstaller::reboot() {
  Program program{.command = options_.reboot_command, .limit = options_.reboot_max};
  log_.info("update.reboot_started");
  POSTERN_CO_TRY(const ProgramEnd end, co_await run_program(std::move(program), clock_));
  if (end.exit_code != 0) {
    co_return rejected(
        Reason::none, fmt::format("{} ended with status {}", options_.reboot_command.front(), end.exit_code));
  }
  POSTERN_CO_CHECK(co_await clock_.sleep(options_.reboot_max));
  co_return Error{Kind::exhausted, Reason::timed_out, "the machine did not go down to reboot"};
}

}  // namespace postern::device
