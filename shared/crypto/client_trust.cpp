#include "shared/crypto/client_trust.hpp"

namespace postern {

std::optional<ClientRefusal> ClientTrust::check(std::span<const Certificate> chain, WallTime now) const {
  if (chain.empty()) return ClientRefusal{ClientFault::unusable, "no certificate"};
  const Certificate& leaf = chain.front();
  if (const auto usable = check_usage(leaf, CertificateUsage::tls_client); !usable) {
    return ClientRefusal{ClientFault::unusable, usable.error().what};
  }
  // Without the time first, so that a stranger and an old friend get different answers.
  if (const auto known = verify_chain(chain, options_.authorities, std::nullopt); !known) {
    return ClientRefusal{ClientFault::unknown_authority, known.error().what};
  }
  if (!options_.ignore_expiry || now < leaf.not_before()) {
    if (const auto valid = check_validity(leaf, now); !valid) {
      return ClientRefusal{ClientFault::expired, valid.error().what};
    }
    if (const auto valid = verify_chain(chain, options_.authorities, now); !valid) {
      return ClientRefusal{ClientFault::expired, valid.error().what};
    }
  }
  for (const Certificate& certificate : chain) {
    if (!options_.revocations.is_revoked(certificate)) continue;
    return ClientRefusal{ClientFault::revoked, fmt::format("certificate {} (serial {}) is revoked",
                                                           certificate.subject(), certificate.serial())};
  }
  if (options_.require_crl && lacks_crl(leaf, chain)) {
    return ClientRefusal{ClientFault::unknown_authority,
                         fmt::format("certificate {} (serial {}): no CRL of its issuer is known",
                                     leaf.subject(), leaf.serial())};
  }
  return std::nullopt;
}

bool ClientTrust::lacks_crl(const Certificate& leaf, std::span<const Certificate> chain) const {
  const auto covered = [&](const Certificate& authority) {
    return leaf.is_signed_by(authority) && options_.revocations.covers(authority);
  };
  return std::ranges::none_of(options_.authorities, covered) &&
         std::ranges::none_of(chain.subspan(1), covered);
}

}  // namespace postern
