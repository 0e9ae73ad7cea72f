// User accounts: making them, logging in and out, and who holds a token (management-api 0.2, 1.1, 1.3).
#pragma once

#include <atomic>

#include "cloud/auth/tokens.hpp"
#include "cloud/store/store.hpp"
#include "shared/async/pool.hpp"
#include "shared/base/log.hpp"
#include "shared/base/random.hpp"

namespace postern::cloud {

/// Whoever made a request with a good user token.
struct Session {
  std::string user_id;
  std::string token_id;
};

/// Thread-safe.
class Accounts {
 public:
  /// Live log-in sessions of one user; one more ends the oldest (management-api 1.1).
  static constexpr std::size_t kSessionsMax = 10;
  /// Log-ins that may wait for their password to be checked, which takes a pool thread tens of milliseconds
  /// each.
  static constexpr int kLoginsMax = 64;

  Accounts(Store& store, UserTokens& tokens, Pool& pool, Clock& clock, Random& random, Log& log);

  /// Returns the new user's id. Errors: unprocessable (password rules, name taken), invalid (name).
  net::awaitable<Result<std::string>> create(std::string name, std::string password);
  /// Returns a token. Errors: unauthorized; transient (too many log-ins at once).
  net::awaitable<Result<std::string>> log_in(std::string name, std::string password, bool never_expires);
  net::awaitable<Status> log_out(Session session);
  /// Errors: unauthorized, forbidden.
  net::awaitable<Result<Session>> identify(std::string token);

 private:
  net::awaitable<Result<std::string>> open_session(User user, bool never_expires);

  Store& store_;
  UserTokens& tokens_;
  Pool& pool_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  std::atomic<int> logins_ = 0;
};

}  // namespace postern::cloud
