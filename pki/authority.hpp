// The certificate authority: a directory with the roots, what they issued, and what was revoked.
//
//   <profile>-ca.crt, <profile>-ca.crl   what is given to programs as trust and as revocation list
//   private/<profile>-ca.key             the roots' keys, mode 0600
//   issued/<profile>-<serial>.crt        every certificate, written before anybody gets it
//   revoked/<profile>-<serial>           time and reason
//
// A CRL is made of what lies in revoked/, so that a power cut between the two is healed by the next CRL.
#pragma once

#include <string>
#include <vector>

#include "pki/profiles.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/random.hpp"
#include "shared/crypto/revocation.hpp"

namespace postern {

/// The word for a reason on the command line and in revoked/.
std::string_view to_string(RevocationReason reason);
std::optional<RevocationReason> parse_revocation_reason(std::string_view word);

struct AuthorityOptions {
  std::string name = "Postern";
  int days = kCaDays;
  KeyType key_type = KeyType::ecdsa;
};

/// Holds a lock on the directory, so that of several programs one works at a time. Every call may block.
class Authority {
 public:
  /// Makes the whole directory under another name and moves it into place: it is there whole or not at all.
  /// Errors: conflict when `path` exists and is not an empty directory; invalid; exhausted; transient.
  static Status create(const std::string& path, const AuthorityOptions& options, Clock& clock,
                       Random& random);
  /// Waits while another program works on the directory. Errors: not_found, transient.
  static Result<Authority> open(const std::string& path, Clock& clock, Random& random);

  /// A certificate for `key`, recorded. Errors: invalid; not_found and corrupt for the authority's own files.
  Result<Certificate> issue(const Profile& profile, LeafRequest request, const PublicKey& key);

  /// Which of the roots issued it. Errors: invalid when none did.
  Result<const Profile*> issuer_of(const Certificate& certificate) const;
  /// The same by the records. Errors: not_found.
  Result<const Profile*> issuer_of(const std::string& serial) const;
  /// Records the revocation; false when it was revoked before, which then stays as it was. Call write_crl
  /// afterwards.
  Result<bool> revoke(const Profile& profile, const std::string& serial, RevocationReason reason);
  /// Replaces the CRL by one of all revocations, valid for `days`, with a higher number.
  Status write_crl(const Profile& profile, int days);

  Result<Certificate> ca(const Profile& profile) const;
  Result<RevocationList> crl(const Profile& profile) const;
  Result<std::vector<Certificate>> issued(const Profile& profile) const;
  Result<std::vector<RevokedSerial>> revoked(const Profile& profile) const;

  std::string ca_path(const Profile& profile) const;
  std::string crl_path(const Profile& profile) const;

 private:
  /// An flock that ends with the object, or with the process.
  class Lock {
   public:
    static Result<Lock> take(const std::string& path);
    Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Lock& operator=(Lock&& other) noexcept {
      std::swap(fd_, other.fd_);
      return *this;
    }
    ~Lock();

   private:
    explicit Lock(int fd) : fd_(fd) {}
    int fd_;
  };

  Authority(std::string path, Lock lock, Clock& clock, Random& random)
      : path_(std::move(path)), lock_(std::move(lock)), clock_(&clock), random_(&random) {}

  std::string key_path(const Profile& profile) const;
  Result<PrivateKey> ca_key(const Profile& profile) const;
  Status make_root(const Profile& profile, const AuthorityOptions& options, const std::string& id);
  Result<std::uint64_t> next_crl_number(const Profile& profile) const;
  Result<std::string> next_leaf_number(const Profile& profile) const;

  std::string path_;
  Lock lock_;
  Clock* clock_;
  Random* random_;
};

}  // namespace postern
