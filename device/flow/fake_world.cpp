#include "device/flow/fake_world.hpp"

namespace postern::device::testing {

std::string short_name(std::string_view step) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kNames{{
      {"Sync", "Sy"},
      {"Download", "Dl"},
      {"ArtifactInstall", "In"},
      {"ArtifactReboot", "Rb"},
      {"ArtifactVerifyReboot", "VRb"},
      {"ArtifactCommit", "Co"},
      {"ArtifactRollback", "Ro"},
      {"ArtifactRollbackReboot", "RRb"},
      {"ArtifactVerifyRollbackReboot", "VRRb"},
      {"ArtifactFailure", "Fa"},
      {"DownloadWithFileSizes", "DlS"},
      {"ProvidePayloadFileSizes", "PF"},
      {"Cleanup", "Cl"},
  }};
  const auto* found = std::ranges::find(kNames, step, &std::pair<std::string_view, std::string_view>::first);
  return std::string(found == kNames.end() ? step : found->second);
}

FakeWorld::FakeWorld()
    : database_(std::make_shared<MemoryDatabase>(device_tables())),
      store_([this]() -> net::awaitable<Result<std::shared_ptr<Database>>> { co_return database_; }) {
  const Installed before{.name = "old", .group = "", .provides = {{"version", "1"}}};
  const Status stored = loop_.run(store_.clear(UpdateKind::managed, before));
  POSTERN_ASSERT(stored);
}

void FakeWorld::deploy() {
  statuses.clear();
  constexpr int kStartsMax = 200;
  const Deployment deployment{.id = "deployment-1", .artifact_name = "new", .uri = "https://server/artifact"};
  for (int starts = 0; starts < kStartsMax; ++starts) {
    Machine machine({.store = store_,
                     .installer = *this,
                     .server = *this,
                     .scripts = *this,
                     .recorder = *this,
                     .clock = loop_.clock(),
                     .log = log_},
                    {});
    try {
      const Status ended = loop_.run(start(machine, deployment));
      if (ended) return;
      // The database has lost its power, and everyone who waits for it stops.
      POSTERN_ASSERT(ended.error().kind == Kind::cancelled && database_->crashed());
      database_->restart();
    } catch (const PowerCut&) {
      continue;
    }
  }
  throw std::logic_error("the update does not end");
}

/// What a process does when it starts: it takes up what it finds, else asks the server, which offers a
/// deployment until it has heard how that ended.
net::awaitable<Status> FakeWorld::start(Machine& machine, Deployment deployment) {
  POSTERN_CO_TRY(const bool recovered, co_await machine.recover());
  const bool is_over = !statuses.empty() && (statuses.back() == "success" || statuses.back() == "failure");
  if (recovered || is_over) co_return Status{};
  co_return co_await machine.install(std::move(deployment));
}

Installed FakeWorld::installed() {
  return *loop_.run(store_.installed());
}

bool FakeWorld::happens(std::set<std::string>& set, const std::string& name) const {
  if (!set.contains(name)) return false;
  if (!faults.every_time) set.erase(name);
  return true;
}

Status FakeWorld::act(const std::string& name) {
  if (before_each) before_each();
  if (name != "NeedsArtifactReboot" && name != "SupportsRollback") chain.push_back(name);
  if (happens(faults.killing, name)) throw PowerCut();
  if (happens(faults.failing, name)) return rejected(Reason::none, name + " fails");
  if (after_each) after_each(name);
  return {};
}

net::awaitable<Status> FakeWorld::download(http::Body&, const Installed&, OnHeader on_header) {
  if (is_misfit) co_return rejected(Reason::unprocessable, "not for this device");
  ArtifactHeader header{.name = "new", .provides = {{"artifact_name", "new"}, {"version", "2"}}};
  header.has_payload_provides = true;
  if (!has_empty_payload) header.payload_type = "fake";
  POSTERN_CO_CHECK(co_await on_header(header));
  if (has_empty_payload) co_return Status{};
  POSTERN_CO_CHECK(act("PF"));
  co_return act(provide_file_sizes == "Yes" ? "DlS" : "Dl");
}

net::awaitable<Status> FakeWorld::call(std::string, std::string_view state) {
  co_return act(short_name(state));
}

net::awaitable<Result<Reboot>> FakeWorld::needs_reboot(std::string) {
  POSTERN_CO_CHECK(act("NeedsArtifactReboot"));
  co_return reboot_answer;
}

net::awaitable<Result<bool>> FakeWorld::supports_rollback(std::string) {
  POSTERN_CO_CHECK(act("SupportsRollback"));
  co_return rollback_answer;
}

net::awaitable<Status> FakeWorld::clean_up(std::string) {
  co_return act("Cl");
}

/// The power goes, as it does in a reboot.
net::awaitable<Status> FakeWorld::reboot() {
  const Status done = act("reboot");
  if (!done) co_return done;
  throw PowerCut();
}

net::awaitable<Status> FakeWorld::run(std::string_view step, ScriptPoint point) {
  static constexpr std::array<std::string_view, 3> kMarks{"+", "-", "!"};
  co_return act(short_name(step) + std::string(kMarks.at(static_cast<std::size_t>(point))));
}

net::awaitable<Result<std::optional<Deployment>>> FakeWorld::next_deployment(const std::string&,
                                                                             const Provides& provides) {
  polls.push_back(provides.at("artifact_name"));
  if (poll_failure) co_return *poll_failure;
  if (waiting.empty()) co_return std::nullopt;
  Deployment next = waiting.front();
  waiting.erase(waiting.begin());
  co_return next;
}

net::awaitable<Status> FakeWorld::report_status(const std::string&, std::string_view status) {
  if (before_each) before_each();
  if (status == faults.status && faults.status_failures > 0) {
    --faults.status_failures;
    if (faults.is_aborted) co_return conflict("aborted");
    co_return transient("the server is away");
  }
  statuses.emplace_back(status);
  if (after_each) after_each(std::string(status));
  co_return Status{};
}

net::awaitable<Status> FakeWorld::upload_log(const std::string&, std::string) {
  ++logs;
  if (log_failure) co_return *log_failure;
  co_return Status{};
}

net::awaitable<Status> FakeWorld::submit_inventory(const Inventory& inventory) {
  inventories.push_back(inventory);
  co_return Status{};
}

net::awaitable<Result<std::unique_ptr<http::Body>>> FakeWorld::download(const std::string&) {
  co_return std::make_unique<http::TextBody>("");
}

}  // namespace postern::device::testing
