// The certificate rules as data: which kinds of certificate there are, and what each of them says.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/crypto/certificate_builder.hpp"

namespace postern {

/// One kind of certificate. Each has a root of its own, so that whoever trusts one kind trusts no other.
struct Profile {
  std::string_view name;  ///< the word of the command line, and the beginning of file names
  CertificateUsage usage;
  int days;            ///< how long a certificate lives unless told otherwise
  bool has_addresses;  ///< carries the DNS names and IP addresses by which it is found, one at least
  bool has_site;       ///< may name a site in its subject, as organizational unit
  bool is_numbered;    ///< each has a number in its subject, counted from 1, for roll-over
};

inline constexpr std::array kProfiles{
    // 825 days: the longest that browsers accept from a private CA.
    Profile{"server", CertificateUsage::tls_server, 825, true, false, false},
    Profile{"gateway", CertificateUsage::tls_client, 825, false, true, false},
    // A device may sit for years where nobody can renew its certificate; a lost one is revoked.
    Profile{"device", CertificateUsage::tls_client, 3650, false, false, false},
    Profile{"plan-signing", CertificateUsage::plan_signing, 1825, false, false, true},
};

/// Null when there is no such kind.
const Profile* find_profile(std::string_view name);

inline constexpr int kCaDays = 7300;
/// A device list has to reach sites without a line, so it lives long; revoking makes a new one at once.
inline constexpr int kCrlDays = 90;
inline constexpr int kDaysMax = 36500;
/// Everything is valid from a day before it was made: the peer's clock may be behind, or in another time
/// zone.
inline constexpr std::chrono::hours kBackdated{24};

/// What a root of `profile` says. `authority_id` makes its name differ from that of every other authority.
/// Errors: invalid.
Result<CertificateSpec> ca_spec(const Profile& profile, const std::string& authority_name,
                                const std::string& authority_id, int days, WallTime now);

/// What somebody asks for.
struct LeafRequest {
  std::string name;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::optional<int> days;
  std::string site;    ///< for profiles with one; empty: none
  std::string number;  ///< for numbered profiles
};

/// What a leaf of `profile` says. It never outlives its CA: a default life is shortened, a longer one asked
/// for is refused. Errors: invalid.
Result<CertificateSpec> leaf_spec(const Profile& profile, const LeafRequest& request, const Certificate& ca,
                                  WallTime now);

}  // namespace postern
