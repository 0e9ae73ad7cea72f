// Hashing and checking passwords, which takes memory and time, so that only so many are under way at once.
#pragma once

#include <atomic>
#include <optional>

#include "shared/async/pool.hpp"
#include "shared/base/random.hpp"
#include "shared/crypto/digest.hpp"

namespace postern::cloud {

/// Thread-safe.
class Passwords {
 public:
  /// What may wait for a thread of the pool; more are refused at once.
  static constexpr int kWaitingMax = 64;

  /// The pool's threads are how many work at once, each with 1 KiB of memory times `cost`.
  Passwords(Pool& pool, Random& random, std::uint64_t cost);

  /// Errors: transient (too many at once).
  net::awaitable<Result<std::string>> hash(std::string password);
  /// Whether this is the password of `hash`; without a hash false, after as much work. Errors: as hash().
  net::awaitable<Result<bool>> check(std::string password, std::optional<std::string> hash);
  /// Whether a hash costs something else than those that are made now.
  bool is_outdated(std::string_view hash) const { return password_cost(hash) != cost_; }

 private:
  class Place;

  Pool& pool_;
  Random& random_;
  const std::uint64_t cost_;
  const std::string nobodys_hash_;  ///< no password has it
  std::atomic<int> waiting_ = 0;
};

}  // namespace postern::cloud
