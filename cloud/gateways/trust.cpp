#include "cloud/gateways/trust.hpp"

#include "shared/io/file.hpp"

namespace postern::cloud {
namespace {

/// 64 characters of up to 4 bytes.
constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kCrlBytesMax = 64 << 20;

}  // namespace

std::optional<GatewayName> name_gateway(const Certificate& certificate) {
  auto name = certificate.subject_field("CN");
  if (!name || name->size() > kNameBytesMax) return std::nullopt;
  auto site = certificate.subject_field("OU");
  if (site && site->size() > kNameBytesMax) return std::nullopt;
  return GatewayName{.name = *name, .site = site ? *std::move(site) : *name};
}

Result<std::shared_ptr<const GatewayTrust>> GatewayTrust::load(const std::string& ca_path,
                                                               const std::string& crl_path, WallTime now,
                                                               Log& log) {
  ClientTrust::Options options;
  POSTERN_TRY(const std::string ca_pem, read_file(ca_path));
  auto authorities = Certificate::list_from_pem(ca_pem);
  if (!authorities) return std::move(authorities).error().within(ca_path);
  options.authorities = *std::move(authorities);
  if (!crl_path.empty()) {
    POSTERN_TRY(const std::string crl_pem, read_file(crl_path, kCrlBytesMax));
    auto added = options.revocations.add_crls(crl_pem, options.authorities);
    if (!added) return std::move(added).error().within(crl_path);
    for (const std::string& issuer : options.revocations.stale(now)) {
      log.warn("gateway.crl_stale", {{"path", crl_path}, {"issuer", issuer}});
    }
  }
  return std::make_shared<const GatewayTrust>(std::move(options));
}

std::optional<ClientRefusal> GatewayTrust::check(std::span<const Certificate> chain, WallTime now) const {
  if (chain.empty() || !is_gateway(chain.front())) return std::nullopt;
  return trust_.check(chain, now);
}

bool GatewayTrust::is_gateway(const Certificate& leaf) const {
  const bool is_ours = std::ranges::any_of(
      trust_.authorities(), [&](const Certificate& authority) { return leaf.is_signed_by(authority); });
  return is_ours && name_gateway(leaf).has_value();
}

}  // namespace postern::cloud
