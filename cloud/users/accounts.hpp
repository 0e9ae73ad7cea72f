// User accounts: making and changing them, logging in and out, and who holds a token (management-api 0.2, 1).
#pragma once

#include "cloud/auth/tokens.hpp"
#include "cloud/users/guess_limits.hpp"
#include "cloud/users/passwords.hpp"
#include "cloud/users/token_use.hpp"

namespace postern::cloud {

/// Whoever made a request with a good user token.
struct Session {
  std::string user_id;
  std::string token_id;
  std::string email;

  AuditEntry::Actor actor() const { return {.type = "user", .id = user_id, .email = email, .identity = {}}; }
};

struct LogInRequest {
  std::string name;
  std::string password;
  bool never_expires = false;
  std::string peer;  ///< address of the client, with or without a port
};

struct LogIn {
  std::string token;
  /// There were too many wrong passwords: there is no token, and this is how long to wait.
  std::optional<Duration> wait;
};

/// What is to change of a user; nothing: stays.
struct UserChange {
  std::optional<std::string> email;
  std::optional<std::string> password;
  std::optional<std::string> current_password;
};

/// Thread-safe.
class Accounts {
 public:
  /// Live log-in sessions of one user; one more ends the oldest (management-api 1.1).
  static constexpr std::size_t kSessionsMax = 10;
  static constexpr std::size_t kPersonalTokensMax = 10;
  static constexpr std::chrono::seconds kPersonalTokenLifetimeMax{31'536'000};

  /// `pool` is for passwords, see Passwords.
  Accounts(Store& store, UserTokens& tokens, Pool& pool, Clock& clock, Random& random, Log& log,
           std::uint64_t password_cost = kPasswordCost);

  /// Makes a user on the machine itself, where any name will do; returns the id. An empty `id` is chosen
  /// here. Errors: unprocessable (password rules, name or id taken), invalid (name, id).
  net::awaitable<Result<std::string>> create(std::string name, std::string password, std::string id = {});
  /// The same for an operator, where the name is an e-mail address.
  net::awaitable<Result<std::string>> create(Session by, std::string email, std::string password);
  /// Sets a password on the machine itself, and ends all tokens of the user. Errors: not_found,
  /// unprocessable.
  net::awaitable<Status> set_password(std::string name, std::string password);
  /// Ends all tokens of that user but the one that is used. Returns how long to wait when there were too many
  /// wrong passwords. Errors: invalid, unprocessable, not_found, conflict (changed meanwhile).
  net::awaitable<Result<std::optional<Duration>>> change(Session by, std::string peer, std::string user_id,
                                                         UserChange change);
  /// That there is no such user is fine.
  net::awaitable<Status> erase(Session by, std::string user_id);

  /// Errors: unauthorized; transient (too many log-ins at once).
  net::awaitable<Result<LogIn>> log_in(LogInRequest request);
  net::awaitable<Status> log_out(Session session);
  /// Errors: unauthorized, forbidden.
  net::awaitable<Result<Session>> identify(std::string token);

  /// Makes a personal access token, which never expires when `lifetime` is 0. Errors: invalid, conflict
  /// (name), unprocessable (too many).
  net::awaitable<Result<std::string>> create_token(Session by, std::string name,
                                                   std::chrono::seconds lifetime);
  /// The personal access tokens that are good, oldest first.
  net::awaitable<Result<std::vector<UserToken>>> personal_tokens(Session by);
  /// That there is no such token is fine.
  net::awaitable<Status> erase_token(Session by, std::string token_id);

  /// Stores what is kept in memory.
  net::awaitable<Status> flush() { return uses_.flush(); }

 private:
  /// A change, its user as it was read, and what the user will be.
  struct Revision {
    User before;
    User after;
  };

  net::awaitable<Result<std::string>> add(User user, std::string password,
                                          std::optional<AuditEntry::Actor> by);
  net::awaitable<Result<std::string>> open_session(User user, bool never_expires,
                                                   std::optional<std::string> new_hash);
  /// Compares the password that was given with the user's; counts as a guess. True: right.
  net::awaitable<Result<std::optional<Duration>>> check_current(const User& user, std::string password,
                                                                std::string peer);
  net::awaitable<Result<User>> find(std::string user_id);
  Status store_revision(WriteTx& tx, const Revision& revision, const Session& by, WallTime now);

  Store& store_;
  UserTokens& tokens_;
  Clock& clock_;
  Random& random_;
  Log& log_;
  Passwords passwords_;
  GuessLimits guesses_;
  TokenUse uses_;
};

}  // namespace postern::cloud
