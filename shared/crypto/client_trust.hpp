// Whom a listener takes in as a client: authorities, revocations, and the rules of decision 11.
#pragma once

#include <vector>

#include "shared/crypto/revocation.hpp"

namespace postern {

/// Why a client's certificate was not taken; each has a TLS alert of its own.
enum class ClientFault { unknown_authority, expired, revoked, unusable };

struct ClientRefusal {
  ClientFault fault;
  std::string what;  ///< which certificate, and why
};

/// Decides about client certificates. Immutable: a reload makes a new one. Thread-safe.
class ClientTrust {
 public:
  struct Options {
    std::vector<Certificate> authorities;
    Revocations revocations;
    /// Refuses certificates of an authority without a CRL; else such an authority revokes nothing.
    bool require_crl = false;
    /// Takes a certificate after its end (device-protocol 8.2, MTLS_INSECURE_SKIP_CLIENT_EXPIRE_AFTER).
    bool ignore_expiry = false;
  };

  explicit ClientTrust(Options options) : options_(std::move(options)) {}

  /// `chain` has the leaf first, any intermediates after it. No value: welcome.
  std::optional<ClientRefusal> check(std::span<const Certificate> chain, WallTime now) const;

  const std::vector<Certificate>& authorities() const { return options_.authorities; }
  const Revocations& revocations() const { return options_.revocations; }

 private:
  bool lacks_crl(const Certificate& leaf, std::span<const Certificate> chain) const;

  Options options_;
};

}  // namespace postern
