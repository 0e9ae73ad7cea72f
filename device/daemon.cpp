#include "device/daemon.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "device/flow/agent.hpp"
#include "device/host/deployment_log.hpp"
#include "device/host/device_key.hpp"
#include "device/host/identity.hpp"
#include "device/host/inventory.hpp"
#include "device/server/protocol_server.hpp"
#include "device/store/file_lock.hpp"
#include "shared/async/run.hpp"
#include "shared/async/task_scope.hpp"
#include "shared/transport/tcp.hpp"

namespace postern::device {
namespace {

/// A module that is told to end gets 10 s before it is killed.
constexpr auto kStopGrace = std::chrono::seconds(30);

class Recorder final : public DeploymentRecorder {
 public:
  explicit Recorder(DeploymentLog& log) : log_(log) {}
  void begin(const std::string& deployment_id) override { log_.begin(deployment_id); }
  void end() override { log_.end(); }
  Result<std::string> body() override { return log_.body(); }

 private:
  DeploymentLog& log_;
};

/// Stands in where no server can be spoken to: an update under way is undone without one.
class NoServer final : public Server {
 public:
  explicit NoServer(Error why) : why_(std::move(why)) {}
  void expire_token() override {}
  net::awaitable<Result<std::optional<Deployment>>> next_deployment(const std::string&,
                                                                    const Provides&) override {
    co_return why_;
  }
  net::awaitable<Status> report_status(const std::string&, std::string_view) override { co_return why_; }
  net::awaitable<Status> upload_log(const std::string&, std::string) override { co_return why_; }
  net::awaitable<Status> submit_inventory(const Inventory&) override { co_return why_; }
  net::awaitable<Result<std::unique_ptr<http::Body>>> download(const std::string&) override {
    co_return why_;
  }
  std::optional<Duration> retry_after() const override { return std::nullopt; }

 private:
  const Error why_;
};

Result<std::unique_ptr<Server>> make_server(const Setup& setup, Network& network, Clock& clock, Log& log) {
  POSTERN_TRY(PrivateKey key, setup.settings.auth_private_key.empty()
                                  ? load_or_make_device_key(setup.paths.device_key())
                                  : load_static_key(setup.settings.auth_private_key));
  POSTERN_TRY(auto tls, make_server_tls(setup.settings));
  ProtocolServer::Parts parts{.network = network,
                              .clock = clock,
                              .log = log,
                              .tls = std::move(tls),
                              .key = std::move(key),
                              .identity = [script = setup.paths.identity_script(), &clock, &log] {
                                return device_identity(script, clock, log);
                              }};
  POSTERN_TRY(auto server,
              ProtocolServer::make(std::move(parts), server_options(setup.settings, setup.version)));
  return std::unique_ptr<Server>(std::move(server));
}

/// Acts on signals until one says that this is the end.
net::awaitable<void> handle_signals(net::signal_set& signals, Agent& agent, Log& log) {
  for (;;) {
    const auto [error, number] = co_await signals.async_wait(net::as_tuple(net::use_awaitable));
    if (error) co_return;
    log.info("daemon.signal_received", {{"signal", number}});
    if (number == SIGUSR1) {
      agent.poll_now();
    } else if (number == SIGUSR2) {
      agent.send_inventory_now();
    } else {
      co_return;
    }
  }
}

net::awaitable<Status> serve(net::signal_set& signals, Agent& agent, Clock& clock, Log& log) {
  const net::any_io_executor executor = co_await net::this_coro::executor;
  TaskScope scope(executor, log);
  scope.spawn(executor, "agent", agent.run());
  co_await handle_signals(signals, agent, log);
  log.info("daemon.stopping");
  // A second signal ends the wait.
  signals.async_wait([](const auto& error, int) {
    if (!error) std::_Exit(1);
  });
  scope.stop(net::cancellation_type::terminal);
  Status joined = co_await scope.join(clock, kStopGrace);
  if (!joined) std::_Exit(1);
  signals.cancel();
  co_return Status{};
}

Status check_server(const Result<std::unique_ptr<Server>>& server, DeviceStore& store) {
  if (server) return {};
  net::io_context context;
  POSTERN_TRY(const auto update, run(context, store.update(UpdateKind::managed)));
  if (update) return {};
  return server.error();
}

}  // namespace

Status run_daemon(const Setup& setup, Log& stderr_log) {
  net::io_context context(1);
  net::signal_set signals(context, SIGTERM, SIGINT, SIGQUIT);  // from here on no signal is lost
  signals.add(SIGUSR1);
  signals.add(SIGUSR2);
  POSTERN_CHECK(open_directory(setup.paths.datastore));  // makes it
  auto lock = FileLock::take(setup.daemon_lock());
  if (!lock) return std::move(lock).error().within("another daemon runs");
  SystemClock clock;
  SystemNetwork network;
  Pool pool(1);
  DeploymentLog log(setup.settings.update_log_path, setup.version, clock, stderr_log);
  Recorder recorder(log);
  const VerifyKeys keys = load_verify_keys(setup.settings, log);
  warn_without_keys(keys, log);
  DeviceStore store(open_device_database(setup.paths.datastore, clock, log));
  auto made = make_server(setup, network, clock, log);
  POSTERN_CHECK(check_server(made, store));
  if (!made) log.error("daemon.server_unusable", {{"error", made.error().what}});
  const auto server = made ? *std::move(made) : std::make_unique<NoServer>(made.error());

  const Settings& settings = setup.settings;
  const BackoffOptions retries{
      .min = settings.retry_minimum, .max = settings.retry_poll_interval, .count = settings.retry_poll_count};
  NoScripts scripts;
  ModuleInstaller installer(pool, clock, log, installer_options(setup, keys));
  Machine machine({.store = store,
                   .installer = installer,
                   .server = *server,
                   .scripts = scripts,
                   .recorder = recorder,
                   .clock = clock,
                   .log = log},
                  retries);
  Agent agent(
      context.get_executor(),
      {.store = store,
       .machine = machine,
       .server = *server,
       .scripts = scripts,
       .clock = clock,
       .log = log,
       .device_type = [&settings] { return read_device_type(settings.device_type_file); },
       .inventory =
           [&] { return device_inventory(setup.paths.inventory_directory(), setup.version, clock, log); }},
      {.update_poll = settings.update_poll_interval,
       .inventory_poll = settings.inventory_poll_interval,
       .retries = retries,
       .update_lock = setup.update_lock()});
  log.info("daemon.started", {{"version", setup.version}, {"datastore", setup.paths.datastore}});
  Status served = run(context, serve(signals, agent, clock, log));
  log.info("daemon.stopped");
  return served;
}

}  // namespace postern::device
