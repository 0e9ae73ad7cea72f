// An authority for tests, with leaves and CRLs.
#pragma once

#include "shared/crypto/certificate_builder.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern::gateway {

/// All it makes is valid from the fake clock's beginning on for 100 days.
class TestAuthority {
 public:
  static constexpr WallTime kBegin =
      std::chrono::sys_days(std::chrono::year(2026) / std::chrono::January / 1);

  explicit TestAuthority(std::string name, std::uint64_t seed = 1) : random_(seed) {
    ca_ = make_self_signed({.common_name = std::move(name),
                            .is_ca = true,
                            .not_before = kBegin,
                            .not_after = kBegin + std::chrono::days(100)},
                           key_, random_)
              .value();
  }

  const Certificate& ca() const { return *ca_; }
  Certificate issue(const std::string& name, Duration lifetime = std::chrono::days(100)) {
    return issue_for(name, key_, lifetime);
  }
  Certificate issue_for(const std::string& name, const PrivateKey& key,
                        Duration lifetime = std::chrono::days(100)) {
    return make_certificate(
               {.common_name = name,
                .not_before = kBegin,
                .not_after = kBegin + std::chrono::duration_cast<std::chrono::milliseconds>(lifetime)},
               key.public_key(), *ca_, key_, random_)
        .value();
  }
  std::string crl(std::vector<Certificate> revoked, std::uint64_t number = 1, WallTime this_update = kBegin) {
    RevocationListSpec spec{
        .number = number, .this_update = this_update, .next_update = this_update + std::chrono::days(10)};
    for (const Certificate& certificate : revoked) {
      spec.revoked.push_back({.serial = certificate.serial(), .revoked_at = this_update});
    }
    return make_revocation_list(spec, *ca_, key_).value();
  }

 private:
  testing::SeededRandom random_;
  PrivateKey key_ = PrivateKey::generate(KeyType::ecdsa);
  std::optional<Certificate> ca_;
};

}  // namespace postern::gateway
