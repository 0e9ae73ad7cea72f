// Makes certificates and revocation lists: for the certificate authority, and for tests that need some.
#pragma once

#include <string>
#include <vector>

#include "shared/base/random.hpp"
#include "shared/crypto/certificate.hpp"

namespace postern {

/// What a certificate is to say. Serial number, key identifiers, key usage and signature are added.
struct CertificateSpec {
  std::string common_name;                ///< 1 to 64 characters
  std::string organization;               ///< up to 64 characters; empty: none
  std::string organizational_unit;        ///< up to 64 characters; empty: none
  std::string number;                     ///< subject field serialNumber; empty: none
  std::vector<std::string> dns_names;     ///< subject alternative names; "*." may stand in front
  std::vector<std::string> ip_addresses;  ///< the same, IPv4 or IPv6 as text
  std::vector<CertificateUsage> usages;   ///< extended key usage; none: no such extension
  bool is_ca = false;                     ///< a CA that may sign leaves only (path length 0)
  WallTime not_before;                    ///< whole seconds count
  WallTime not_after;
};

/// A certificate for `subject`, signed by `issuer`, whose key is `issuer_key`. The serial number has 128
/// random bits. Errors: invalid, naming the part of `spec` that will not do.
Result<Certificate> make_certificate(const CertificateSpec& spec, const PublicKey& subject,
                                     const Certificate& issuer, const PrivateKey& issuer_key, Random& random);
/// A self-signed certificate. Errors: as above.
Result<Certificate> make_self_signed(const CertificateSpec& spec, const PrivateKey& key, Random& random);

/// Why a certificate was revoked; part of a CRL's entry.
enum class RevocationReason { unspecified, key_compromise, superseded, retired };

struct RevokedSerial {
  std::string serial;  ///< as normalize_serial
  WallTime revoked_at;
  RevocationReason reason = RevocationReason::unspecified;
};

struct RevocationListSpec {
  std::uint64_t number = 0;
  WallTime this_update;
  WallTime next_update;
  std::vector<RevokedSerial> revoked;
};

/// A CRL as PEM. Errors: invalid for a serial number that is none.
Result<std::string> make_revocation_list(const RevocationListSpec& spec, const Certificate& issuer,
                                         const PrivateKey& issuer_key);

/// Reads a certificate signing request (PEM) and checks that whoever made it has the key. Only the key is
/// taken from it. Errors: invalid.
Result<PublicKey> public_key_of_request(std::string_view pem);

}  // namespace postern
