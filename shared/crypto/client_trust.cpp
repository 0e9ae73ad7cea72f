#include "shared/crypto/client_trust.hpp"

namespace postern {
namespace {

ClientRefusal revoked(const Certificate& certificate) {
  return {.fault = ClientFault::revoked,
          .what = fmt::format("certificate {} (serial {}) is revoked", certificate.subject(),
                              certificate.serial())};
}

}  // namespace

ClientTrust::ClientTrust(Options options, const ClientTrust* before)
    : revocations_(std::move(options.revocations)),
      require_crl_(options.require_crl),
      ignore_expiry_(options.ignore_expiry),
      verifier_(std::move(options.authorities), before != nullptr ? &before->verifier_ : nullptr) {}

std::optional<ClientRefusal> ClientTrust::check(std::span<const Certificate> chain, WallTime now) const {
  Issuers issuers;
  if (auto refusal = find_issuers(chain, now, issuers)) return refusal;
  const Certificate& leaf = chain.front();
  if (auto refusal = check_revocation(leaf, issuers->path)) return refusal;
  if (!ignore_expiry_) {
    const WallTime end = std::min(leaf.not_after(), issuers->not_after);
    WallTime known = earliest_end_;
    while (end < known && !earliest_end_.compare_exchange_weak(known, end)) {
    }
  }
  return std::nullopt;
}

std::optional<ClientRefusal> ClientTrust::check_again(std::span<const Certificate> chain,
                                                      WallTime now) const {
  for (const Certificate& certificate : chain) now = std::max(now, certificate.not_before());
  return check(chain, now);
}

bool ClientTrust::has_any_expired(WallTime now) const {
  WallTime known = earliest_end_;
  return now > known && earliest_end_.compare_exchange_strong(known, WallTime::max());
}

std::optional<ClientRefusal> ClientTrust::find_issuers(std::span<const Certificate> chain, WallTime now,
                                                       Issuers& issuers) const {
  if (chain.empty()) return ClientRefusal{ClientFault::unusable, "no certificate"};
  const Certificate& leaf = chain.front();
  if (ignore_expiry_ && now < leaf.not_before()) {
    return ClientRefusal{ClientFault::expired, check_validity(leaf, now).error().what};
  }
  const auto when = ignore_expiry_ ? std::nullopt : std::optional(now);
  issuers = verifier_.recall(chain, when);
  if (issuers) return std::nullopt;  // it was fit for use when it was checked
  if (const auto usable = check_usage(leaf, CertificateUsage::tls_client); !usable) {
    return ClientRefusal{ClientFault::unusable, usable.error().what};
  }
  auto outcome = verifier_.verify(chain, when);
  if (outcome.verdict == ChainVerifier::Verdict::unknown) {
    return ClientRefusal{ClientFault::unknown_authority, std::move(outcome.why)};
  }
  if (outcome.verdict == ChainVerifier::Verdict::expired) {
    const auto valid = check_validity(leaf, now);
    return ClientRefusal{ClientFault::expired, valid ? std::move(outcome.why) : valid.error().what};
  }
  issuers = std::move(outcome.issuers);
  return std::nullopt;
}

std::optional<ClientRefusal> ClientTrust::check_revocation(const Certificate& leaf,
                                                           const std::vector<Certificate>& path) const {
  if (path.empty() && revocations_.is_revoked(leaf, leaf)) return revoked(leaf);
  // An authority itself is trusted because it was configured: nobody above it is asked.
  const Certificate* certificate = &leaf;
  for (const Certificate& issuer : path) {
    if (revocations_.is_revoked(*certificate, issuer)) return revoked(*certificate);
    if (require_crl_ && !revocations_.covers(issuer)) {
      return ClientRefusal{ClientFault::unknown_authority,
                           fmt::format("certificate {} (serial {}): no CRL of its issuer is known",
                                       certificate->subject(), certificate->serial())};
    }
    certificate = &issuer;
  }
  return std::nullopt;
}

}  // namespace postern
