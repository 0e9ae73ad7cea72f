// Whom a listener takes in as a client: authorities, revocations, and the rules of decision 11.
#pragma once

#include <atomic>
#include <vector>

#include "shared/crypto/chain_verifier.hpp"
#include "shared/crypto/revocation.hpp"

namespace postern {

/// Why a client's certificate was not taken; each has a TLS alert of its own.
enum class ClientFault { unknown_authority, expired, revoked, unusable };

struct ClientRefusal {
  ClientFault fault;
  std::string what;  ///< which certificate, and why
};

/// Decides about client certificates. Its rules never change: a reload makes a new one. A chain that it has
/// checked before costs no public-key operation; times and revocation are looked at each time (decision 12).
/// Thread-safe.
class ClientTrust {
 public:
  struct Options {
    std::vector<Certificate> authorities;
    Revocations revocations;
    /// Refuses certificates that any authority on their way has no CRL for; else such an authority revokes
    /// nothing.
    bool require_crl = false;
    /// Takes a certificate after its end (device-protocol 8.2, MTLS_INSECURE_SKIP_CLIENT_EXPIRE_AFTER).
    bool ignore_expiry = false;
  };

  /// Takes over from `before` which chains are good, as far as they do not hang on an authority that is gone.
  explicit ClientTrust(Options options, const ClientTrust* before = nullptr);

  /// `chain` has the leaf first, any intermediates after it. No value: welcome.
  std::optional<ClientRefusal> check(std::span<const Certificate> chain, WallTime now) const;
  /// The same for a client that was let in before: a clock that was set back throws nobody out.
  std::optional<ClientRefusal> check_again(std::span<const Certificate> chain, WallTime now) const;
  /// Whether a certificate that was welcome has ended since this was last true. Whoever asks then checks all
  /// clients again.
  bool has_any_expired(WallTime now) const;

  const std::vector<Certificate>& authorities() const { return verifier_.authorities(); }
  const Revocations& revocations() const { return revocations_; }

 private:
  using Issuers = std::shared_ptr<const ChainVerifier::Issuers>;

  std::optional<ClientRefusal> find_issuers(std::span<const Certificate> chain, WallTime now,
                                            Issuers& issuers) const;
  std::optional<ClientRefusal> check_revocation(const Certificate& leaf,
                                                const std::vector<Certificate>& path) const;

  const Revocations revocations_;
  const bool require_crl_;
  const bool ignore_expiry_;
  const ChainVerifier verifier_;
  mutable std::atomic<WallTime> earliest_end_{WallTime::max()};  ///< of those that were welcome
};

}  // namespace postern
