// All bindings of this gateway: in LMDB, so that a restart locks nobody out, and in memory, because every
// request asks.
#pragma once

#include <map>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include "gateway/admission/binding.hpp"
#include "shared/store/database.hpp"

namespace postern::gateway {

/// What a token of this gateway's devices is good for.
enum class TokenStanding {
  unknown,  ///< nobody was given it here
  foreign,  ///< another device's
  own,
};

/// Thread-safe.
class Bindings {
 public:
  /// Tokens that one identity may use at a time: older ones of the same auth set go on working
  /// (device-protocol 1.5), and a device that authenticates in a loop shall not fill the disk.
  static constexpr std::size_t kTokensMax = 4;

  Bindings(Database& database, Clock& clock, Rebinding policy)
      : database_(database), clock_(clock), policy_(policy) {}

  /// Reads what is stored. Call it once, before anything else. Errors: corrupt.
  Status load();

  /// Decides and binds; durable when it returns. Errors: unauthorized, with the reason; those of the
  /// database.
  net::awaitable<Status> bind(Claim claim, std::string identity,
                              std::function<bool(const Digest&)> is_approved);

  /// Whether the upstream has taken this device key for this identity from us before.
  bool is_preauthorized(const Digest& identity_hash, const Digest& device_key) const;
  /// Whether it has taken any key for this identity from us: the device is of this site.
  bool is_ours(const Digest& identity_hash) const;
  net::awaitable<Status> note_preauthorized(Digest identity_hash, Digest device_key);
  /// Remembers a token that the identity was given; durable when it returns.
  net::awaitable<Status> note_token(Digest identity_hash, std::string token);

  TokenStanding standing(std::string_view token, const CertificateIdentity& certificate) const;

  /// The identity that a token was given to, as canonical JSON.
  std::optional<std::string> identity_of(std::string_view token) const;
  /// The identity that a certificate speaks for, likewise.
  std::optional<std::string> identity_of(const CertificateIdentity& certificate) const;

  std::size_t size() const;

 private:
  struct Less {
    bool operator()(const Digest& a, const Digest& b) const { return a < b; }
  };

  const Binding* find(const Digest& identity_hash) const;
  const Binding* find_held_by(const CertificateIdentity& certificate) const;
  BindingDecision decide_on(const Claim& claim, const std::function<bool(const Digest&)>& is_approved) const;
  void apply(const Claim& claim, const std::string& identity, Binding& binding) const;
  /// Changes the stored binding of an identity, or makes one; several changes follow one after the other.
  net::awaitable<Status> change(Digest identity_hash, std::function<void(Binding&)> edit);
  void remember(Binding binding);
  void forget_names_of(const Binding& binding);
  static std::string holder_of(const Binding& binding);

  Database& database_;
  Clock& clock_;
  const Rebinding policy_;

  mutable std::shared_mutex mutex_;
  std::map<Digest, Binding, Less> by_identity_;
  std::map<Digest, Digest, Less> by_certificate_key_;            ///< -> identity
  std::unordered_map<std::string, Digest> by_certificate_name_;  ///< issuer and name -> identity
  std::map<Digest, Digest, Less> by_token_;                      ///< -> identity
  std::set<Digest, Less> claimed_;  ///< identities, and keys of certificates, that bind() is busy with
};

}  // namespace postern::gateway
