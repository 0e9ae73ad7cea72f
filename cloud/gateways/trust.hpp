// Which clients are gateways, and what their certificates say about them.
#pragma once

#include <memory>

#include "shared/base/log.hpp"
#include "shared/transport/tls.hpp"

namespace postern::cloud {

/// What a gateway's certificate calls it.
struct GatewayName {
  std::string name;  ///< common name
  std::string site;  ///< organizational unit; the name where there is none
};

/// None for a certificate without exactly one common name, or with a name or unit beyond 64 characters
/// (RFC 5280, upper bounds).
std::optional<GatewayName> name_gateway(const Certificate& certificate);

/// Decides about certificates of gateways. Immutable; thread-safe.
class GatewayTrust {
 public:
  /// `authorities` are the certificates that sign those of gateways; an intermediate one is among them.
  explicit GatewayTrust(ClientTrust::Options options) : trust_(std::move(options)) {}
  /// Reads PEM files; `crl_path` may be empty. Warns of a list that should have been replaced by `now`
  /// ("gateway.crl_stale"). Blocking. Errors: those of read_file, Certificate and Revocations, with the path.
  static Result<std::shared_ptr<const GatewayTrust>> load(const std::string& ca_path,
                                                          const std::string& crl_path, WallTime now,
                                                          Log& log);

  /// For a listener, see ClientCheck. Lets in certificates of other authorities as well: a device shows its
  /// own wherever it is asked, and counts as one that shows none.
  std::optional<ClientRefusal> check(std::span<const Certificate> chain, WallTime now) const;
  /// Whether a certificate that check() let in is that of a gateway.
  bool is_gateway(const Certificate& leaf) const;

 private:
  ClientTrust trust_;
};

}  // namespace postern::cloud
