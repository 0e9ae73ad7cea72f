// SHA-256, HMAC-SHA256, and the memory-hard password hash.
#pragma once

#include <array>
#include <memory>

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

/// Hashes a password with scrypt (N = 2^15, r = 8, p = 1: 32 MiB, tens of milliseconds) and a fresh salt; the
/// parameters are part of the text that comes back. Blocking: run it on the pool.
std::string hash_password(std::string_view password, Random& random);
/// Whether `password` is the one behind `hash`. A hash that cannot be read matches nothing. Blocking.
bool verify_password(std::string_view password, std::string_view hash);

}  // namespace postern
