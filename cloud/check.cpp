#include "cloud/check.hpp"

#include "shared/crypto/revocation.hpp"
#include "shared/http/url.hpp"
#include "shared/operating/config_findings.hpp"

namespace postern::cloud {
namespace {

Status check_url(const std::string& text) {
  POSTERN_TRY(const auto url, http::Url::parse(text));
  if (!url.is_secure) return invalid("is no https: this server speaks nothing else");
  return {};
}

}  // namespace

std::vector<std::string> problems_of(const Config& config, WallTime now) {
  ConfigFindings found(now);
  found.note("", check_complete(config));
  found.look_at_endpoint("Listen", config.listen);
  if (!config.url.empty()) found.note("URL", check_url(config.url));
  found.look_at_pair("Certificate", config.certificate, "Key", config.key);
  found.certificates_in("GatewayCA", config.gateway_ca);
  if (const auto lists = found.content_of("GatewayCRL", config.gateway_crl)) {
    if (const auto parsed = RevocationList::list_from_bytes(*lists); !parsed) {
      found.add("GatewayCRL", fmt::format("{}: {}", config.gateway_crl, parsed.error().what));
    }
  }
  if (!config.data_directory.empty()) found.look_at_directory("DataDirectory", config.data_directory);
  return found.take();
}

}  // namespace postern::cloud
