#include "gateway/trust/trust.hpp"

#include <set>

#include "shared/base/cancellation.hpp"
#include "shared/base/check.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kPemBytesMax = 4 << 20;
constexpr std::size_t kCrlBytesMax = 64 << 20;
constexpr std::size_t kListBytesMax = 16 << 20;
constexpr Duration kRetry = std::chrono::minutes(1);
/// A file with more authorities is a bundle of public ones, of which some always end soon.
constexpr std::size_t kWatchedAuthoritiesMax = 16;

std::vector<std::string> authority_files(const Config& config) {
  std::vector<std::string> paths;
  if (!config.device_ca.empty()) paths.push_back(config.device_ca);
  paths.insert(paths.end(), config.device_cas.begin(), config.device_cas.end());
  return paths;
}

Digest digest_of(std::span<const FileContent> contents) {
  Sha256 hash;
  const auto add = [&](std::string_view text) {
    hash.update(as_bytes(fmt::format("{}:", text.size())));
    hash.update(as_bytes(text));
  };
  for (const FileContent& content : contents) {
    add(content.path);
    add(content.text ? *content.text : std::string_view());
  }
  return hash.finish();
}

Deadline deadline_of(std::string_view which, const Certificate& certificate) {
  return {.which = std::string(which),
          .subject = certificate.subject(),
          .serial = certificate.serial(),
          .at = certificate.not_after()};
}

std::vector<Deadline> deadlines_of(std::string_view which, std::string_view pem) {
  std::vector<Deadline> deadlines;
  const auto chain = Certificate::list_from_pem(pem);
  if (!chain) return deadlines;  // whoever uses the text has said what is wrong with it
  for (const Certificate& certificate : *chain) deadlines.push_back(deadline_of(which, certificate));
  return deadlines;
}

}  // namespace

Trust::Trust(const Config& config, FileView& files, Clock& clock, Log& log)
    : config_(config),
      files_(files),
      clock_(clock),
      log_(log),
      devices_({.require_crl = config.require_crl, .ignore_expiry = config.ignore_device_expiry}, log),
      alarm_(log) {
  add_sources();
}

Result<std::unique_ptr<Trust>> Trust::load(const Config& config, FileView& files, Clock& clock, Log& log) {
  std::unique_ptr<Trust> trust(new Trust(config, files, clock, log));
  POSTERN_CHECK(trust->load_all());
  return trust;
}

void Trust::add_sources() {
  if (config_.https.enabled && config_.mtls) {
    add({.name = "device_ca",
         .key = "Features.mTLS.CACertificate",
         .files = WatchedFiles(authority_files(config_), kPemBytesMax),
         .take = [this](Contents contents) { return devices_.take_authorities(contents); },
         .concerns_devices = true});
    if (!config_.device_crls.empty()) {
      add({.name = "crl",
           .key = "Postern.mTLS.CRL",
           .files = WatchedFiles(config_.device_crls, kCrlBytesMax),
           .take = [this](Contents contents) { return devices_.take_lists(contents); },
           .concerns_devices = true});
    }
    if (!config_.blacklist_path.empty()) {
      add({.name = "serials",
           .key = "Features.mTLS.BlacklistPath",
           .files = WatchedFiles({config_.blacklist_path}, kListBytesMax),
           .take = [this](Contents contents) { return devices_.take_serials(contents); },
           .concerns_devices = true});
    }
    if (!config_.approved_path.empty()) {
      add({.name = "approved",
           .key = "Postern.Binding.ApprovedPath",
           .files = WatchedFiles({config_.approved_path}, kListBytesMax),
           .take = [this](Contents contents) { return take_approved(contents); },
           .is_required = false});
    }
  }
  if (config_.https.enabled) {
    add({.name = "server",
         .key = "HTTPS.ServerCertificate",
         .files = WatchedFiles({config_.server_certificate, config_.server_key}, kPemBytesMax),
         .take = [this](Contents contents) { return take_server(contents); }});
  }
  std::vector<std::string> upstream;
  if (!config_.upstream_ca.empty()) upstream.push_back(config_.upstream_ca);
  if (!config_.upstream_certificate.empty()) {
    upstream.insert(upstream.end(), {config_.upstream_certificate, config_.upstream_key});
  }
  add({.name = "upstream",
       .key = "UpstreamServer.CACertificate or Postern.Upstream.Certificate",
       .files = WatchedFiles(std::move(upstream), kPemBytesMax),
       .take = [this](Contents contents) { return take_upstream(contents); }});
  if (!config_.artifact_verify_keys.empty()) {
    add({.name = "verify_keys",
         .key = "Postern.Artifacts.VerifyKeys",
         .files = WatchedFiles(config_.artifact_verify_keys, kVerifyKeyBytesMax),
         .take = [this](Contents contents) { return take_verify_keys(contents); }});
  }
}

Status Trust::load_all() {
  for (Source& source : sources_) {
    // The second look finds the files as the first has: they are read below.
    (void)source.files.look(files_);
    (void)source.files.look(files_);
    bool has_changed = false;
    auto status = read(source, true, has_changed);
    if (!status && source.is_required) return std::move(status).error().within(source.key);
    if (!status) note(source, status, false);
  }
  publish_device_trust();
  gather_deadlines();
  alarm_.check(deadlines_, clock_.wall());
  if (config_.upstream_insecure) {
    log_.warn("gateway.upstream_not_verified", {{"key", "UpstreamServer.InsecureSkipVerify"}});
  }
  return {};
}

Status Trust::read(Source& source, bool is_forced, bool& has_changed) {
  const auto contents = source.files.read(files_);
  const Digest digest = digest_of(contents);
  if (!is_forced && source.taken == digest) return {};
  auto taken = source.take(contents);
  has_changed = taken.has_changed;
  source.taken = taken.status ? std::optional(digest) : std::nullopt;
  return std::move(taken.status);
}

void Trust::note(Source& source, const Status& status, bool has_changed) {
  if (!status) {
    ++source.failures;
    source.is_failing = true;
    source.retry_at = clock_.now() + kRetry;
    log_.error("gateway.reload_failed",
               {{"source", source.name},
                {"key", source.key},
                {"error", status.error().what},
                {"in_force", has_changed ? "what of it is good" : "what was good last"}});
    return;
  }
  const bool is_mended = std::exchange(source.is_failing, false);
  if (!has_changed && !is_mended) return;
  ++source.reloads;
  log_.info("gateway.reloaded", {{"source", source.name}, {"changed", has_changed}});
}

bool Trust::look(bool all) {
  bool rules_have_changed = false;
  bool has_any_changed = false;
  for (Source& source : sources_) {
    const bool has_changed_on_disk = source.files.look(files_);
    const bool is_retry = source.is_failing && clock_.now() >= source.retry_at;
    // Lists belong to authorities: who signed them is found out again.
    const bool is_forced = source.name == "crl" && rules_have_changed;
    if (!has_changed_on_disk && !is_retry && !is_forced && !all) continue;
    bool has_changed = false;
    const auto status = read(source, is_forced, has_changed);
    note(source, status, has_changed);
    has_any_changed = true;
    rules_have_changed = rules_have_changed || (has_changed && source.concerns_devices);
  }
  if (all) log_.info("gateway.reload_done", {{"sources", sources_.size()}});
  if (rules_have_changed) publish_device_trust();
  if (has_any_changed) gather_deadlines();
  const WallTime now = clock_.wall();
  alarm_.check(deadlines_, now);
  const auto trust = client_trust();
  return rules_have_changed || (trust && trust->has_any_expired(now));
}

DeviceTrust::Taken Trust::take_server(Contents contents) {
  for (const FileContent& content : contents) {
    if (!content.text) return {.status = Error(content.text.error())};
  }
  TlsServerOptions options{
      .certificate_chain_pem = *contents[0].text,
      .private_key_pem = *contents[1].text,
      .require_client_certificate = config_.mtls,
      .minimum_version = config_.minimum_tls_version == "1.3" ? TlsVersion::v1_3 : TlsVersion::v1_2};
  if (config_.mtls) {
    options.check_client = [this](std::span<const Certificate> chain) { return check_client(chain); };
  }
  auto context = TlsServerContext::make(options);
  if (!context) return {.status = std::move(context).error().within(contents[0].path)};
  server_deadlines_ = deadlines_of("server", *contents[0].text);
  const std::lock_guard lock(mutex_);
  server_tls_ = *std::move(context);
  return {.has_changed = true, .status = {}};
}

DeviceTrust::Taken Trust::take_upstream(Contents contents) {
  for (const FileContent& content : contents) {
    if (!content.text) return {.status = Error(content.text.error())};
  }
  std::vector<Deadline> deadlines;
  TlsClientOptions options{.verify = !config_.upstream_insecure};
  if (!config_.upstream_ca.empty()) {
    options.trust_pem = *contents.front().text;
    deadlines = deadlines_of("upstream_ca", options.trust_pem);
    if (deadlines.size() > kWatchedAuthoritiesMax) deadlines.clear();
  }
  auto without = TlsClientContext::make(options);
  if (!without) return {.status = std::move(without).error().within("UpstreamServer.CACertificate")};
  auto with = without;
  if (!config_.upstream_certificate.empty()) {
    options.certificate_chain_pem = *contents[contents.size() - 2].text;
    options.private_key_pem = *contents[contents.size() - 1].text;
    with = TlsClientContext::make(options);
    if (!with) return {.status = std::move(with).error().within("Postern.Upstream.Certificate")};
    std::ranges::move(deadlines_of("upstream", options.certificate_chain_pem), std::back_inserter(deadlines));
  }
  upstream_deadlines_ = std::move(deadlines);
  const std::lock_guard lock(mutex_);
  upstream_tls_ = *std::move(with);
  artifact_tls_ = *std::move(without);
  return {.has_changed = true, .status = {}};
}

/// Whoever admits devices reads the list when it is needed; what is wrong with it is worth knowing before.
DeviceTrust::Taken Trust::take_approved(Contents contents) {
  const FileContent& file = contents.front();
  if (!file.text) return {.status = Error(file.text.error())};
  const auto parsed = parse_fingerprints(*file.text);
  if (!parsed) return {.status = Error(parsed.error()).within(file.path)};
  return {.has_changed = true, .status = {}};
}

DeviceTrust::Taken Trust::take_verify_keys(Contents contents) {
  auto keys = parse_verify_keys(contents);
  if (!keys) return {.status = std::move(keys).error()};
  const std::lock_guard lock(mutex_);
  verify_keys_ = *std::move(keys);
  return {.has_changed = true, .status = {}};
}

void Trust::publish_device_trust() {
  if (devices_.authorities().empty()) return;
  const auto before = client_trust();
  auto made = devices_.make(before.get());
  const std::lock_guard lock(mutex_);
  client_trust_ = std::move(made);
}

void Trust::gather_deadlines() {
  std::set<Deadline> all(server_deadlines_.begin(), server_deadlines_.end());
  all.insert(upstream_deadlines_.begin(), upstream_deadlines_.end());
  for (const Certificate& authority : devices_.authorities()) all.insert(deadline_of("device_ca", authority));
  std::vector<ToldList> lists;
  for (const Revocations::List& list : devices_.newest_lists()) {
    lists.push_back({.issuer = list->issuer(), .revoked = list->revoked().size()});
    const auto next = list->next_update();
    const auto number = list->number();
    if (!next) continue;
    all.insert({.kind = Deadline::Kind::crl,
                .which = "crl",
                .subject = list->issuer(),
                .serial = number ? std::to_string(*number) : "",
                .at = *next});
  }
  std::vector<Told> told;
  for (const Source& source : sources_) {
    told.push_back({.source = source.name,
                    .reloads = source.reloads,
                    .failures = source.failures,
                    .is_failing = source.is_failing});
  }
  const std::lock_guard lock(mutex_);
  deadlines_.assign(all.begin(), all.end());
  told_ = std::move(told);
  told_lists_ = std::move(lists);
}

std::shared_ptr<const TlsServerContext> Trust::server_tls() const {
  const std::lock_guard lock(mutex_);
  return server_tls_;
}

std::shared_ptr<const TlsClientContext> Trust::upstream_tls() const {
  const std::lock_guard lock(mutex_);
  return upstream_tls_;
}

std::shared_ptr<const TlsClientContext> Trust::artifact_tls() const {
  const std::lock_guard lock(mutex_);
  return artifact_tls_;
}

VerifyKeys Trust::verify_keys() const {
  const std::lock_guard lock(mutex_);
  return verify_keys_;
}

std::shared_ptr<const ClientTrust> Trust::client_trust() const {
  const std::lock_guard lock(mutex_);
  return client_trust_;
}

std::optional<ClientRefusal> Trust::check_client(std::span<const Certificate> chain) const {
  return client_trust()->check(chain, clock_.wall());
}

bool Trust::should_end(std::span<const Certificate> chain) const {
  const auto trust = client_trust();
  if (!trust || chain.empty()) return false;
  const auto refusal = trust->check_again(chain, clock_.wall());
  if (!refusal) return false;
  ++ended_;
  log_.info("gateway.connection_ended", {{"certificate", chain.front().subject()}, {"error", refusal->what}});
  return true;
}

void Trust::start(const net::any_io_executor& home, Pool& pool, Listener listener) {
  POSTERN_ASSERT(scope_ == nullptr);
  scope_ = std::make_unique<TaskScope>(home, log_);
  scope_->spawn(home, "gateway.trust", run(pool, std::move(listener)));
}

void Trust::reload(ReloadDone done) {
  const std::lock_guard lock(mutex_);
  reloads_.push_back(std::move(done));
}

std::vector<std::string> Trust::failing() const {
  std::vector<std::string> names;
  for (const Source& source : sources_) {
    if (source.is_failing) names.push_back(source.name);
  }
  return names;
}

net::awaitable<void> Trust::run(Pool& pool, Listener listener) {
  while (!co_await was_cancelled()) {
    if (auto slept = co_await clock_.sleep(kLookInterval); !slept) co_return;
    std::vector<ReloadDone> reloads;
    {
      const std::lock_guard lock(mutex_);
      reloads.swap(reloads_);
    }
    const auto keys_before = verify_keys();
    const bool is_check_due = co_await pool.run([&] { return look(!reloads.empty()); });
    if (co_await was_cancelled()) co_return;
    if (is_check_due) listener.connections();
    if (verify_keys() != keys_before) listener.verify_keys();
    for (const ReloadDone& done : reloads) done(failing());
  }
}

net::awaitable<Status> Trust::stop() {
  if (!scope_) co_return Status{};
  scope_->stop(net::cancellation_type::terminal);
  co_return co_await scope_->join(clock_, std::chrono::seconds(5));
}

std::vector<Deadline> Trust::deadlines() const {
  const std::lock_guard lock(mutex_);
  return deadlines_;
}

void Trust::tell(Scrape& scrape) const {
  const WallTime now = clock_.wall();
  const auto seconds_to = [&](WallTime at) {
    return std::chrono::floor<std::chrono::seconds>(at - now).count();
  };
  constexpr std::string_view kReloads = "postern_gateway_reloads_total";
  constexpr std::string_view kReloadsHelp = "Reloads of certificates, keys and lists, by result.";
  const std::lock_guard lock(mutex_);
  for (const Deadline& deadline : deadlines_) {
    if (deadline.kind == Deadline::Kind::crl) {
      scrape.gauge("postern_gateway_crl_next_update_seconds",
                   "Time until the next CRL of an issuer is due; negative when it is late.",
                   seconds_to(deadline.at), {{"issuer", deadline.subject}});
      continue;
    }
    scrape.gauge("postern_gateway_certificate_expiry_seconds",
                 "Time until a certificate ends; negative afterwards.", seconds_to(deadline.at),
                 {{"which", deadline.which}, {"subject", deadline.subject}, {"serial", deadline.serial}});
  }
  for (const ToldList& list : told_lists_) {
    scrape.gauge("postern_gateway_crl_entries", "Serial numbers in the CRL in force.", list.revoked,
                 {{"issuer", list.issuer}});
  }
  for (const Told& told : told_) {
    scrape.counter(kReloads, kReloadsHelp, told.reloads, {{"source", told.source}, {"result", "ok"}});
    scrape.counter(kReloads, kReloadsHelp, told.failures, {{"source", told.source}, {"result", "failed"}});
    scrape.gauge("postern_gateway_reload_failing", "1 while files are not in force as they lie on the disk.",
                 told.is_failing ? 1 : 0, {{"source", told.source}});
  }
  scrape.counter("postern_gateway_connections_ended_total",
                 "Connections ended because their certificate counts no longer.",
                 ended_.load(std::memory_order_relaxed));
}

}  // namespace postern::gateway
