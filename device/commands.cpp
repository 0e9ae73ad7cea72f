#include "device/commands.hpp"

#include <signal.h>

#include <iostream>

#include <boost/asio/io_context.hpp>

#include "device/flow/standalone.hpp"
#include "device/progress.hpp"
#include "device/server/protocol_server.hpp"
#include "device/store/file_lock.hpp"
#include "device/update/file_body.hpp"
#include "shared/async/run.hpp"
#include "shared/io/file.hpp"
#include "shared/transport/tcp.hpp"

namespace postern::device {
namespace {

/// What a standalone update needs, for one command.
class Workbench {
 public:
  Workbench(const Setup& setup, Log& log)
      : setup_(setup),
        log_(log),
        keys_(load_verify_keys(setup.settings, log)),
        store_(open_device_database(setup.paths.datastore, clock_, log)),
        installer_(pool_, clock_, log, installer_options(setup, keys_)) {}

  Result<int> run(const std::function<net::awaitable<Result<int>>(Standalone&)>& command) {
    POSTERN_CHECK(open_directory(setup_.paths.datastore));  // makes it
    auto lock = FileLock::take(setup_.update_lock());
    if (!lock) return std::move(lock).error().within("another update is in progress");
    Standalone standalone({.store = store_,
                           .installer = installer_,
                           .scripts = scripts_,
                           .log = log_,
                           .say = [](std::string_view line) {
                             std::cout << line << std::endl;  // at once: the operator waits
                           }});
    return postern::run(context_, command(standalone));
  }

  net::awaitable<Result<std::unique_ptr<http::Body>>> open(std::string source) {
    warn_without_keys(keys_, log_);
    if (source == "-") co_return with_progress(FileBody::standard_input(pool_));
    if (!source.starts_with("http://") && !source.starts_with("https://")) {
      POSTERN_CO_TRY(std::unique_ptr<http::Body> file, FileBody::open(source, pool_));
      co_return with_progress(std::move(file));
    }
    POSTERN_CO_TRY(http::Url url, http::Url::parse(source));
    POSTERN_CO_TRY(auto tls, make_server_tls(setup_.settings));
    client_.emplace(network_, clock_, http::ClientOptions{.tls = std::move(tls)});
    const ProtocolServerOptions server = server_options(setup_.settings, setup_.version);
    const DownloadOptions options{.retries = server.download_retries,
                                  .wait = server.download_wait,
                                  .user_agent = "Postern/" + setup_.version};
    POSTERN_CO_TRY(auto body, co_await open_download(*client_, clock_, log_, std::move(url), options));
    co_return with_progress(std::move(body));
  }

 private:
  const Setup& setup_;
  Log& log_;
  net::io_context context_{1};
  SystemClock clock_;
  SystemNetwork network_;
  Pool pool_{1};
  const VerifyKeys keys_;
  DeviceStore store_;
  NoScripts scripts_;
  ModuleInstaller installer_;
  std::optional<http::Client> client_;
};

Result<Installed> read_installed(const Setup& setup, Log& log) {
  SystemClock clock;
  net::io_context context(1);
  DeviceStore store(open_device_database(setup.paths.datastore, clock, log));
  return run(context, store.installed());
}

}  // namespace

Result<int> install(const Setup& setup, const std::string& source, bool with_reboot_status, Log& log) {
  Workbench bench(setup, log);
  return bench.run([&](Standalone& standalone) {
    Standalone::Open open = [&bench, &source] { return bench.open(source); };
    return standalone.install(std::move(open), with_reboot_status);
  });
}

Result<int> commit(const Setup& setup, Log& log) {
  return Workbench(setup, log).run([](Standalone& standalone) { return standalone.commit(); });
}

Result<int> roll_back(const Setup& setup, Log& log) {
  return Workbench(setup, log).run([](Standalone& standalone) { return standalone.roll_back(); });
}

Result<int> resume(const Setup& setup, Log& log) {
  return Workbench(setup, log).run([](Standalone& standalone) { return standalone.resume(); });
}

Result<int> show_artifact(const Setup& setup, Log& log) {
  POSTERN_TRY(const Installed installed, read_installed(setup, log));
  std::cout << installed.name << '\n';
  return kExitOk;
}

Result<int> show_provides(const Setup& setup, Log& log) {
  POSTERN_TRY(const Installed installed, read_installed(setup, log));
  for (const auto& [key, value] : all_provides(installed)) std::cout << key << '=' << value << '\n';
  return kExitOk;
}

Result<int> signal_daemon(const Setup& setup, int signal) {
  auto daemon = FileLock::holder(setup.daemon_lock());
  if (!daemon && daemon.error().reason == Reason::not_found) {
    return not_found(
        fmt::format("no postern-device daemon runs with the datastore {}", setup.paths.datastore));
  }
  if (!daemon) return std::move(daemon).error();
  if (::kill(*daemon, signal) != 0) return from_errno(errno, fmt::format("signal process {}", *daemon));
  return kExitOk;
}

}  // namespace postern::device
