// What the files say about devices' certificates, and what of it is in force.
//
// What was good once stays in force until something better takes its place: a list that cannot be read, is
// half written, has vanished or is older than the one in force changes nothing but is told of.
#pragma once

#include <map>
#include <span>

#include "gateway/trust/files.hpp"
#include "shared/base/log.hpp"
#include "shared/crypto/client_trust.hpp"

namespace postern::gateway {

/// Not thread-safe; what it makes is.
class DeviceTrust {
 public:
  struct Options {
    bool require_crl = false;
    bool ignore_expiry = false;
  };
  /// A part of what was read may be good while another is not.
  struct Taken {
    bool has_changed = false;
    Status status;  ///< what is not in force as it stands in the files, and why
  };

  DeviceTrust(Options options, Log& log) : options_(options), log_(log) {}

  /// All files together are the authorities; one that is bad leaves those in force that were. CRLs have to be
  /// taken again after a change.
  Taken take_authorities(std::span<const FileContent> files);
  /// Of each issuer, and of each of its keys, the newest CRL counts. One that no authority has signed waits
  /// for its issuer to be shown as an intermediate, unless an authority has that very name.
  Taken take_lists(std::span<const FileContent> files);
  /// The list of serial numbers. One that has lost numbers counts only when its last line is whole.
  Taken take_serials(std::span<const FileContent> files);

  /// The rules as they are now. `before`: the ones until now, or null.
  std::shared_ptr<const ClientTrust> make(const ClientTrust* before) const;

  const std::vector<Certificate>& authorities() const { return authorities_; }
  /// The newest CRL of each issuer.
  std::vector<Revocations::List> newest_lists() const;

 private:
  /// Issuer and the digest of the signing key; zeros: of no authority's.
  using Signer = std::pair<std::string, Digest>;
  using Lists = std::map<Signer, Revocations::List>;

  std::optional<Signer> signer_of(const RevocationList& list) const;
  void read_lists(const FileContent& file, Lists& found, std::vector<std::string>& problems) const;
  bool sort_out();
  bool put_in_force(const Lists& found, std::vector<std::string>& problems);

  const Options options_;
  Log& log_;
  std::vector<Certificate> authorities_;
  Lists lists_;
  std::string serials_;  ///< the text in force
};

/// Fingerprints (SHA-256) that an operator has approved: hexadecimal, one per line, with or without colons
/// and blanks; `#` begins a comment. Returns them in lower case. Errors: invalid, naming the line.
Result<std::vector<std::string>> parse_fingerprints(std::string_view text);

}  // namespace postern::gateway
