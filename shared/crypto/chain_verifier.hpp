// Checks certificate chains against one set of authorities, and remembers those that were good.
#pragma once

#include <mutex>
#include <unordered_map>

#include "shared/crypto/certificate.hpp"

struct x509_store_st;

namespace postern {

/// The authorities never change: a reload makes a new one. Two authorities may share a subject, as they do
/// while one key takes over from another. Thread-safe.
class ChainVerifier {
 public:
  /// What stands above a leaf.
  struct Issuers {
    std::vector<Certificate> path;  ///< the leaf's issuer first, the authority last; empty: it is the leaf
    WallTime not_before;            ///< from here
    WallTime not_after;             ///< to here all of them are valid
  };
  enum class Verdict {
    trusted,
    expired,  ///< or not valid yet: all but the time is right
    unknown,  ///< nothing leads to an authority
  };
  struct Outcome {
    Verdict verdict = Verdict::unknown;
    std::shared_ptr<const Issuers> issuers;  ///< null for unknown
    std::string why;                         ///< it is not trusted
  };

  /// An authority need not be self-signed. Of `before`, all chains are taken over that stand without an
  /// authority that is gone.
  explicit ChainVerifier(std::vector<Certificate> authorities, const ChainVerifier* before = nullptr);
  ~ChainVerifier();
  ChainVerifier(const ChainVerifier&) = delete;
  ChainVerifier& operator=(const ChainVerifier&) = delete;

  /// Checks that signatures lead from `chain` (leaf first, any intermediates after it) to an authority, and
  /// that all on the way are valid at `now`; without a time, whenever. Remembers what it trusts. Says nothing
  /// about usage and revocation.
  Outcome verify(std::span<const Certificate> chain, std::optional<WallTime> now) const;
  /// The issuers of a chain that it remembers, if all is still valid at `now`. Costs no public-key operation.
  std::shared_ptr<const Issuers> recall(std::span<const Certificate> chain,
                                        std::optional<WallTime> now) const;

  const std::vector<Certificate>& authorities() const { return authorities_; }

 private:
  struct HashOf {
    std::size_t operator()(const Digest& digest) const;
  };
  using Chains = std::unordered_map<Digest, std::shared_ptr<const Issuers>, HashOf>;

  void make_stores();
  void take_over(const ChainVerifier& before);
  std::shared_ptr<const Issuers> remember(const Digest& key, std::vector<Certificate> path) const;

  std::vector<Certificate> authorities_;
  /// The first holds all authorities. OpenSSL does not go back when a namesake's key does not fit, so for
  /// each of several with one subject there is a store without the others.
  std::vector<std::shared_ptr<x509_store_st>> stores_;

  mutable std::mutex mutex_;
  mutable Chains recent_;  ///< by the digest of all that was shown; when it is full, it becomes `older_`
  mutable Chains older_;
  mutable Chains issuers_;  ///< by the digest of the path: devices of one authority share it
};

}  // namespace postern
