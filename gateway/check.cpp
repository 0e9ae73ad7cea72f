#include "gateway/check.hpp"

#include "gateway/verify_keys.hpp"
#include "shared/http/url.hpp"
#include "shared/operating/config_findings.hpp"

namespace postern::gateway {
namespace {

class Findings {
 public:
  Findings(const Config& config, WallTime now) : config_(config), found_(now) {}

  std::vector<std::string> all() {
    found_.note("", check_complete(config_));
    look_at_listeners();
    look_at_upstream();
    look_at_certificates();
    look_at_directories();
    return found_.take();
  }

 private:
  void look_at_listener(std::string_view key, const ListenerConfig& listener) {
    if (listener.enabled) found_.look_at_endpoint(key, listener.listen);
  }
  void look_at_listeners() {
    look_at_listener("HTTP.Listen", config_.http);
    look_at_listener("HTTPS.Listen", config_.https);
    look_at_listener("Metrics.Listen", config_.metrics);
  }
  void look_at_upstream() {
    if (config_.upstream_url.empty()) return;  // check_complete() has told
    const auto url = http::Url::parse(config_.upstream_url);
    if (!url) {
      found_.add("UpstreamServer.URL", url.error().what);
    } else if (!url->is_secure && !config_.upstream_certificate.empty()) {
      found_.add("UpstreamServer.URL",
                 "is no https: our certificate cannot be shown there (Postern.Upstream)");
    }
  }

  Status check_verify_keys() const {
    if (config_.artifact_verify_keys.empty()) return {};
    SystemFiles files;
    auto keys = parse_verify_keys(WatchedFiles(config_.artifact_verify_keys, kVerifyKeyBytesMax).read(files));
    return keys ? Status{} : Status(std::move(keys).error());
  }
  void look_at_certificates() {
    if (config_.https.enabled) {
      found_.look_at_pair("HTTPS.ServerCertificate", config_.server_certificate, "HTTPS.ServerKey",
                          config_.server_key);
    }
    found_.look_at_pair("Postern.Upstream.Certificate", config_.upstream_certificate, "Postern.Upstream.Key",
                        config_.upstream_key);
    found_.certificates_in("UpstreamServer.CACertificate", config_.upstream_ca);
    found_.note("Postern.Artifacts.VerifyKeys", check_verify_keys());
    if (!config_.mtls) return;
    found_.certificates_in("Features.mTLS.CACertificate", config_.device_ca);
    for (const std::string& path : config_.device_cas)
      found_.certificates_in("Postern.mTLS.CACertificates", path);
    found_.content_of("Features.mTLS.BlacklistPath", config_.blacklist_path);
    found_.content_of("Postern.Binding.ApprovedPath", config_.approved_path);
  }

  void look_at_directories() {
    found_.look_at_directory("Postern.StateDirectory", config_.state_directory);
    if (config_.caches_artifacts) {
      found_.look_at_directory("Features.ArtifactsProxy.ArtifactsCache.Path", config_.cache_path);
    }
  }

  const Config& config_;
  ConfigFindings found_;
};

}  // namespace

std::vector<std::string> problems_of(const Config& config, WallTime now) {
  return Findings(config, now).all();
}

}  // namespace postern::gateway
