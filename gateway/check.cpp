#include "gateway/check.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "gateway/verify_keys.hpp"
#include "shared/crypto/certificate.hpp"
#include "shared/crypto/keys.hpp"
#include "shared/http/url.hpp"
#include "shared/io/file.hpp"

namespace postern::gateway {
namespace {

class Findings {
 public:
  Findings(const Config& config, WallTime now) : config_(config), now_(now) {}

  std::vector<std::string> all() {
    note("", check_complete(config_));
    look_at_listeners();
    look_at_upstream();
    look_at_certificates();
    look_at_directories();
    return std::move(problems_);
  }

 private:
  void add(std::string_view key, std::string_view what) {
    problems_.push_back(key.empty() ? std::string(what) : fmt::format("{}: {}", key, what));
  }
  void note(std::string_view key, const Status& status) {
    if (!status) add(key, status.error().what);
  }

  void look_at_listener(std::string_view key, const ListenerConfig& listener) {
    if (!listener.enabled) return;
    if (auto endpoint = Endpoint::parse(listener.listen); !endpoint) add(key, endpoint.error().what);
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
      add("UpstreamServer.URL", url.error().what);
    } else if (!url->is_secure && !config_.upstream_certificate.empty()) {
      add("UpstreamServer.URL", "is no https: our certificate cannot be shown there (Postern.Upstream)");
    }
  }

  std::optional<std::string> content_of(std::string_view key, const std::string& path) {
    if (path.empty()) return std::nullopt;
    auto content = read_file(path);
    if (!content) {
      add(key, content.error().what);
      return std::nullopt;
    }
    return *std::move(content);
  }
  std::vector<Certificate> certificates_in(std::string_view key, const std::string& path) {
    const auto content = content_of(key, path);
    if (!content) return {};
    auto parsed = Certificate::list_from_pem(*content);
    if (!parsed) {
      add(key, fmt::format("{}: {}", path, parsed.error().what));
      return {};
    }
    for (const Certificate& certificate : *parsed) {
      if (certificate.not_after() <= now_) {
        add(key, fmt::format("{}: the certificate of {} ended at {}", path, certificate.subject(),
                             to_rfc3339(certificate.not_after())));
      }
    }
    return *std::move(parsed);
  }
  static bool belongs(const Certificate& certificate, const PrivateKey& key) {
    const auto certified = certificate.public_key();
    return certified && certified->to_pem() == key.public_key().to_pem();
  }
  void look_at_pair(std::string_view certificate_key, const std::string& certificate_path,
                    std::string_view key_key, const std::string& key_path) {
    const auto chain = certificates_in(certificate_key, certificate_path);
    const auto content = content_of(key_key, key_path);
    if (!content) return;
    const auto key = PrivateKey::from_pem(*content);
    if (!key) {
      add(key_key, fmt::format("{}: {}", key_path, key.error().what));
    } else if (!chain.empty() && !belongs(chain.front(), *key)) {
      add(key_key, fmt::format("{} does not belong to the certificate in {}", key_path, certificate_path));
    }
    struct stat status{};
    if (::stat(key_path.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
      add(key_key, fmt::format("{} can be read or written by everybody on this machine", key_path));
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
      look_at_pair("HTTPS.ServerCertificate", config_.server_certificate, "HTTPS.ServerKey",
                   config_.server_key);
    }
    look_at_pair("Postern.Upstream.Certificate", config_.upstream_certificate, "Postern.Upstream.Key",
                 config_.upstream_key);
    certificates_in("UpstreamServer.CACertificate", config_.upstream_ca);
    note("Postern.Artifacts.VerifyKeys", check_verify_keys());
    if (!config_.mtls) return;
    certificates_in("Features.mTLS.CACertificate", config_.device_ca);
    for (const std::string& path : config_.device_cas) certificates_in("Postern.mTLS.CACertificates", path);
    content_of("Features.mTLS.BlacklistPath", config_.blacklist_path);
    content_of("Postern.Binding.ApprovedPath", config_.approved_path);
  }

  /// A directory that is not there is made, as far as its parents let us.
  void look_at_directory(std::string_view key, const std::string& path) {
    std::string existing = path;
    struct stat status{};
    while (::stat(existing.c_str(), &status) != 0 && errno == ENOENT && existing.size() > 1) {
      const auto slash = existing.rfind('/');
      existing = slash == 0 || slash == std::string::npos ? "/" : existing.substr(0, slash);
    }
    if (!S_ISDIR(status.st_mode)) {
      add(key, fmt::format("{} is no directory", existing));
    } else if (::access(existing.c_str(), W_OK | X_OK) != 0) {
      add(key, fmt::format("{} cannot be written by this user", existing));
    }
  }
  void look_at_directories() {
    look_at_directory("Postern.StateDirectory", config_.state_directory);
    if (config_.caches_artifacts) {
      look_at_directory("Features.ArtifactsProxy.ArtifactsCache.Path", config_.cache_path);
    }
  }

  const Config& config_;
  const WallTime now_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> problems_of(const Config& config, WallTime now) {
  return Findings(config, now).all();
}

}  // namespace postern::gateway
