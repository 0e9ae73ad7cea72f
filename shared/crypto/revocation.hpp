// Which certificates no longer count: revocation lists (CRLs), and plain lists of serial numbers.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "shared/crypto/certificate.hpp"

struct X509_crl_st;

namespace postern {

/// A certificate revocation list as it was parsed; nothing about it is verified but its form.
class RevocationList {
 public:
  /// Reads every block `X509 CRL`. Errors: invalid, also when there is none, for a list that covers only part
  /// of an authority's certificates or of the changes (indirect, delta, partitioned), and for a critical
  /// extension beyond these; too_large beyond 64 MiB.
  static Result<std::vector<RevocationList>> list_from_pem(std::string_view pem);
  /// Reads PEM, or one list or several in DER, told apart by the first bytes. Errors: as above.
  static Result<std::vector<RevocationList>> list_from_bytes(std::string_view bytes);

  /// RFC 2253, as in Certificate.
  std::string issuer() const;
  /// None when the list has no number, or one beyond 64 bits.
  std::optional<std::uint64_t> number() const;
  WallTime this_update() const;
  /// None when the issuer does not say when the next one comes.
  std::optional<WallTime> next_update() const;
  /// Serial number (normalize_serial) and the time from which it is revoked.
  const std::unordered_map<std::string, WallTime>& revoked() const { return revoked_; }

  /// Whether its issuer is the subject of `authority`.
  bool is_of(const Certificate& authority) const;
  /// Whether its issuer is that of `certificate`.
  bool is_about(const Certificate& certificate) const;
  /// is_of(authority), and its key made the signature.
  bool is_signed_by(const Certificate& authority) const;
  /// Whether `other`, of the same issuer, takes this one's place: by number where both have one, then by time
  /// of issue.
  bool is_older_than(const RevocationList& other) const;
  /// SHA-256 over the DER form.
  Digest fingerprint() const;

 private:
  struct Free {
    void operator()(X509_crl_st* list) const;
  };
  using Handle = std::unique_ptr<X509_crl_st, Free>;

  explicit RevocationList(Handle list) : list_(std::move(list)) {}
  static Result<std::vector<RevocationList>> list_from_der(std::string_view der);
  static Status append(Handle handle, std::vector<RevocationList>& lists);
  Status read_entries();

  Handle list_;
  std::unordered_map<std::string, WallTime> revoked_;
};

/// All that is known to be revoked: by (issuer, serial) from CRLs, by serial alone from plain lists. A CRL
/// past its next update stays in force; whoever loads it raises the alarm (`stale`). Filled once, then read:
/// safe to read from many threads; a reload fills a new one.
class Revocations {
 public:
  using List = std::shared_ptr<const RevocationList>;

  Revocations();
  ~Revocations();
  Revocations(Revocations&&) noexcept;
  Revocations& operator=(Revocations&&) noexcept;

  /// Adds the CRLs of a file, PEM or DER. Each has to be signed by one of `authorities`, so that nobody can
  /// take a certificate out of service who did not issue it. Errors: those of list_from_bytes; unauthorized.
  /// Nothing is added then.
  Status add_crls(std::string_view bytes, std::span<const Certificate> authorities);
  /// Adds one CRL. `is_verified`: its signature is that of an authority; else it counts only for the
  /// certificates of an issuer that proves to have signed it, once one is shown.
  void add(List list, bool is_verified);
  /// Adds a plain list: one serial number per line in the forms of normalize_serial; empty lines and what
  /// follows a `#` are skipped. They apply to every issuer (device-protocol 8.2, BlacklistPath). Errors:
  /// invalid, naming the line; nothing is added then.
  Status add_serials(std::string_view text);

  /// `issuer` is the certificate that signed this one.
  bool is_revoked(const Certificate& certificate, const Certificate& issuer) const;
  /// Whether a CRL of `authority` is known at all.
  bool covers(const Certificate& authority) const;
  /// Issuers whose newest CRL should have been replaced by `now`.
  std::vector<std::string> stale(WallTime now) const;
  /// How many serial numbers the plain lists hold.
  std::size_t serial_count() const { return serials_.size(); }

 private:
  struct Added {
    List list;
    bool is_verified = false;
  };
  /// Which issuers have proved to have signed a list that was not verified.
  struct Proofs;

  bool counts_for(const Added& added, const Certificate& issuer) const;

  std::vector<Added> lists_;
  std::unordered_set<std::string> serials_;
  std::unique_ptr<Proofs> proofs_;
};

}  // namespace postern
