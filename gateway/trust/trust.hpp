// All certificates, keys and lists that the gateway works with, as they are now: loaded when it starts, read
// again when their files change or when told to, exchanged without touching a connection that is still
// welcome.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <mutex>

#include "gateway/config.hpp"
#include "gateway/trust/device_trust.hpp"
#include "gateway/trust/expiry.hpp"
#include "gateway/verify_keys.hpp"
#include "shared/async/pool.hpp"
#include "shared/async/task_scope.hpp"
#include "shared/base/metrics.hpp"
#include "shared/transport/tls.hpp"

namespace postern::gateway {

/// Everything public is thread-safe but load(), look() and start(). It outlives whoever uses its contexts.
class Trust {
 public:
  /// How often files are looked at. A change is acted upon at the second look that finds it.
  static constexpr Duration kLookInterval = std::chrono::seconds(1);

  /// Reads everything that the configuration names; nothing may be wrong with it yet. Blocking. Errors:
  /// invalid, not_found, unauthorized, naming the configuration key and the file.
  static Result<std::unique_ptr<Trust>> load(const Config& config, FileView& files, Clock& clock, Log& log);

  /// For the next connection; null where there is no HTTPS listener.
  std::shared_ptr<const TlsServerContext> server_tls() const;
  /// With our own certificate, if we have one.
  std::shared_ptr<const TlsClientContext> upstream_tls() const;
  /// Without.
  std::shared_ptr<const TlsClientContext> artifact_tls() const;
  /// What artifacts have to be signed with; empty: nothing is configured, and nothing is checked.
  VerifyKeys verify_keys() const;
  /// Whether a client that was let in is so no longer; says so in the log.
  bool should_end(std::span<const Certificate> chain) const;

  /// Who is told on `home` of what has changed.
  struct Listener {
    /// Open connections have to be checked with should_end().
    std::function<void()> connections;
    /// verify_keys() gives others.
    std::function<void()> verify_keys;
  };
  /// Begins to look at the files.
  void start(const net::any_io_executor& home, Pool& pool, Listener listener);
  /// Gets the names of the sources that are not in force as they lie on the disk.
  using ReloadDone = std::function<void(const std::vector<std::string>& failing)>;
  /// Reads everything again at the next look, changed or not. `done` is called on `home` once all of it is in
  /// force as far as it is good; not when stop() comes first.
  void reload(ReloadDone done);
  /// Runs on: `home`. Errors: exhausted.
  net::awaitable<Status> stop();

  /// Looks at all files once, and at the time; `all`: reads every one. True when open connections have to be
  /// checked. Blocking.
  bool look(bool all);
  /// When certificates and lists end, as they are now.
  std::vector<Deadline> deadlines() const;
  /// Adds what is told of certificates, lists and reloads.
  void tell(Scrape& scrape) const;

 private:
  using Contents = std::span<const FileContent>;

  /// Files that take effect together.
  struct Source {
    std::string name;  ///< in the log and in metrics
    std::string key;   ///< of the configuration
    WatchedFiles files;
    std::function<DeviceTrust::Taken(Contents)> take;
    bool concerns_devices = false;  ///< the rules for devices depend on it
    bool is_required = true;        ///< it has to be good for a start
    std::optional<Digest> taken;    ///< what was read last, if nothing was wrong with it
    bool is_failing = false;
    SteadyTime retry_at{};
    std::uint64_t reloads = 0;
    std::uint64_t failures = 0;
  };

  Trust(const Config& config, FileView& files, Clock& clock, Log& log);
  void add_sources();
  void add(Source source) { sources_.push_back(std::move(source)); }
  Status load_all();
  Status read(Source& source, bool is_forced, bool& has_changed);
  void note(Source& source, const Status& status, bool has_changed);
  DeviceTrust::Taken take_server(Contents contents);
  DeviceTrust::Taken take_upstream(Contents contents);
  DeviceTrust::Taken take_approved(Contents contents);
  DeviceTrust::Taken take_verify_keys(Contents contents);
  void publish_device_trust();
  void gather_deadlines();
  std::optional<ClientRefusal> check_client(std::span<const Certificate> chain) const;
  std::shared_ptr<const ClientTrust> client_trust() const;
  net::awaitable<void> run(Pool& pool, Listener listener);
  std::vector<std::string> failing() const;

  const Config config_;
  FileView& files_;
  Clock& clock_;
  Log& log_;
  // Touched by whoever looks.
  DeviceTrust devices_;
  std::list<Source> sources_;
  ExpiryAlarm alarm_;
  std::vector<Deadline> server_deadlines_;
  std::vector<Deadline> upstream_deadlines_;

  std::unique_ptr<TaskScope> scope_;

  struct Told {
    std::string source;
    std::uint64_t reloads = 0;
    std::uint64_t failures = 0;
    bool is_failing = false;
  };
  struct ToldList {
    std::string issuer;
    std::size_t revoked = 0;
  };
  mutable std::mutex mutex_;  ///< of what follows
  std::vector<ReloadDone> reloads_;
  std::shared_ptr<const TlsServerContext> server_tls_;
  std::shared_ptr<const TlsClientContext> upstream_tls_;
  std::shared_ptr<const TlsClientContext> artifact_tls_;
  std::shared_ptr<const ClientTrust> client_trust_;
  VerifyKeys verify_keys_ = std::make_shared<const std::vector<PublicKey>>();
  std::vector<Deadline> deadlines_;
  std::vector<Told> told_;
  std::vector<ToldList> told_lists_;
  mutable std::atomic<std::uint64_t> ended_ = 0;
};

}  // namespace postern::gateway
