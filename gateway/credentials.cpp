#include "gateway/credentials.hpp"

#include "shared/io/file.hpp"

namespace postern::gateway {
namespace {

constexpr std::size_t kSecretBytes = 32;

Result<std::string> read(std::string_view key, const std::string& path) {
  auto text = read_file(path);
  if (!text) return std::move(text).error().within(key);
  return text;
}

/// The part of an error that says which configuration key it is about.
Error about(std::string_view key, Error error) {
  return std::move(error).within(key);
}

Result<std::shared_ptr<const ClientTrust>> load_trust(const Config& config, Clock& clock, Log& log) {
  ClientTrust::Options options{.require_crl = config.require_crl,
                               .ignore_expiry = config.ignore_device_expiry};
  constexpr std::string_view kAuthority = "Features.mTLS.CACertificate";
  POSTERN_TRY(const std::string authorities, read(kAuthority, config.device_ca));
  auto parsed = Certificate::list_from_pem(authorities);
  if (!parsed) return about(kAuthority, std::move(parsed).error());
  options.authorities = *std::move(parsed);
  if (!config.device_crl.empty()) {
    constexpr std::string_view kLists = "Postern.mTLS.CRL";
    POSTERN_TRY(const std::string lists, read(kLists, config.device_crl));
    if (auto added = options.revocations.add_crls(lists, options.authorities); !added) {
      return about(kLists, std::move(added).error());
    }
  }
  if (!config.blacklist_path.empty()) {
    constexpr std::string_view kBlacklist = "Features.mTLS.BlacklistPath";
    POSTERN_TRY(const std::string serials, read(kBlacklist, config.blacklist_path));
    if (auto added = options.revocations.add_serials(serials); !added) {
      return about(kBlacklist, std::move(added).error());
    }
  }
  for (const std::string& issuer : options.revocations.stale(clock.wall())) {
    log.warn("gateway.crl_stale", {{"issuer", issuer}});
  }
  return std::make_shared<const ClientTrust>(std::move(options));
}

Result<std::shared_ptr<const TlsServerContext>> load_server_tls(const Config& config, Clock& clock,
                                                                Log& log) {
  POSTERN_TRY(std::string chain, read("HTTPS.ServerCertificate", config.server_certificate));
  POSTERN_TRY(std::string key, read("HTTPS.ServerKey", config.server_key));
  TlsServerOptions options{
      .certificate_chain_pem = std::move(chain),
      .private_key_pem = std::move(key),
      .require_client_certificate = config.mtls,
      .minimum_version = config.minimum_tls_version == "1.3" ? TlsVersion::v1_3 : TlsVersion::v1_2};
  if (config.mtls) {
    POSTERN_TRY(auto trust, load_trust(config, clock, log));
    options.check_client = [trust = std::move(trust), &clock](std::span<const Certificate> presented) {
      return trust->check(presented, clock.wall());
    };
  }
  auto context = TlsServerContext::make(options);
  if (!context) return about("HTTPS.ServerCertificate", std::move(context).error());
  return context;
}

Result<std::shared_ptr<const TlsClientContext>> load_client_tls(const Config& config, bool with_certificate) {
  TlsClientOptions options{.verify = !config.upstream_insecure};
  if (!config.upstream_ca.empty()) {
    POSTERN_TRY(options.trust_pem, read("UpstreamServer.CACertificate", config.upstream_ca));
  }
  if (with_certificate && !config.upstream_certificate.empty()) {
    POSTERN_TRY(options.certificate_chain_pem,
                read("Postern.Upstream.Certificate", config.upstream_certificate));
    POSTERN_TRY(options.private_key_pem, read("Postern.Upstream.Key", config.upstream_key));
  }
  auto context = TlsClientContext::make(options);
  if (!context) return about("UpstreamServer", std::move(context).error());
  return context;
}

/// The configured one, or the one that this gateway once made for itself.
Result<std::vector<std::byte>> load_link_secret(const Config& config, Random& random) {
  if (!config.signature_secret.empty()) {
    auto secret = from_base64(config.signature_secret);
    if (!secret || secret->empty()) {
      return invalid("Features.ArtifactsProxy.ArtifactsCache.SignatureSecret is no base64 text");
    }
    return secret;
  }
  const std::string path = config.state_directory + "/link.secret";
  auto kept = read_file(path, kSecretBytes);
  if (kept && kept->size() == kSecretBytes) {
    const auto bytes = as_bytes(*kept);
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  }
  if (kept) return corrupt(fmt::format("{} does not hold a secret: remove it to get a new one", path));
  if (kept.error().reason != Reason::not_found) return std::move(kept).error();
  auto fresh = random.bytes(kSecretBytes);
  POSTERN_CHECK(write_file(path, as_text(fresh), 0600, Existing::refuse));
  return fresh;
}

Result<std::vector<PublicKey>> load_verify_keys(const Config& config) {
  constexpr std::string_view kKeys = "Postern.Artifacts.VerifyKeys";
  std::vector<PublicKey> keys;
  for (const std::string& path : config.artifact_verify_keys) {
    POSTERN_TRY(const std::string text, read(kKeys, path));
    auto key = PublicKey::from_pem(text);
    if (!key) return about(kKeys, std::move(key).error().within(path));
    keys.push_back(*std::move(key));
  }
  return keys;
}

}  // namespace

Result<Credentials> load_credentials(const Config& config, Clock& clock, Random& random, Log& log) {
  Credentials credentials;
  if (config.https.enabled) {
    POSTERN_TRY(credentials.server_tls, load_server_tls(config, clock, log));
  }
  POSTERN_TRY(credentials.upstream_tls, load_client_tls(config, true));
  POSTERN_TRY(credentials.artifact_tls, load_client_tls(config, false));
  POSTERN_TRY(credentials.verify_keys, load_verify_keys(config));
  POSTERN_TRY(credentials.link_secret, load_link_secret(config, random));
  if (config.upstream_insecure) {
    log.warn("gateway.upstream_not_verified", {{"key", "UpstreamServer.InsecureSkipVerify"}});
  }
  return credentials;
}

}  // namespace postern::gateway
