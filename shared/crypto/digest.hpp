// SHA-256, HMAC-SHA256, and the memory-hard password hash.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "shared/base/bytes.hpp"
#include "shared/base/random.hpp"

struct evp_md_ctx_st;

namespace postern {

using Digest = std::array<std::byte, 32>;

/// Streaming SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(Bytes bytes);
  /// The digest of everything so far; the hash starts anew afterwards.
  Digest finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Digest sha256(Bytes bytes);
Digest hmac_sha256(Bytes key, Bytes message);

/// What a password's hash costs: N of scrypt, a power of two. 2^15 takes 32 MiB and about a tenth of a
/// second.
inline constexpr std::uint64_t kPasswordCost = 1U << 15;

/// Hashes a password with scrypt (r = 8, p = 1) and a fresh salt; the parameters are part of the text that
/// comes back. Blocking: run it on the pool.
std::string hash_password(std::string_view password, Random& random, std::uint64_t cost = kPasswordCost);
/// What `hash` cost; nothing when it cannot be read.
std::optional<std::uint64_t> password_cost(std::string_view hash);
/// Whether `password` is the one behind `hash`. A hash that cannot be read matches nothing. Blocking.
bool verify_password(std::string_view password, std::string_view hash);

}  // namespace postern
