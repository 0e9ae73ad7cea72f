#include "cloud/users/accounts.hpp"

#include <algorithm>

#include "shared/base/text.hpp"
#include "shared/crypto/digest.hpp"

namespace postern::cloud {
namespace {

constexpr std::size_t kNameCharactersMax = 256;
constexpr std::size_t kPasswordCharactersMin = 8;
constexpr std::size_t kPasswordCharactersMax = 256;

/// A hash that no password has: checking against it takes as long as for a user who exists.
constexpr std::string_view kNobodysHash =
    "scrypt$32768$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

Status check_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kNameCharactersMax;
  if (fits && is_printable_ascii(name) && name.find_first_of(" :") == std::string_view::npos) return {};
  return invalid(
      fmt::format("email: must be 1 to {} ASCII characters without blanks and colons", kNameCharactersMax));
}

Status check_password(const std::string& name, const std::string& password) {
  const auto refuse = [](std::string text) { return rejected(Reason::unprocessable, std::move(text)); };
  if (password.size() < kPasswordCharactersMin) return refuse("password: must be minimum 8 characters long");
  if (password.size() > kPasswordCharactersMax)
    return refuse("password: must be at most 256 characters long");
  if (!is_printable_ascii(password)) return refuse("password: must be printable ASCII");
  if (name.contains(to_lower(password))) return refuse("password is too similar to the email");
  return {};
}

}  // namespace

Accounts::Accounts(Store& store, UserTokens& tokens, Pool& pool, Clock& clock, Random& random, Log& log)
    : store_(store), tokens_(tokens), pool_(pool), clock_(clock), random_(random), log_(log) {}

net::awaitable<Result<std::string>> Accounts::create(std::string name, std::string password) {
  name = to_lower(name);
  POSTERN_CO_CHECK(check_name(name));
  POSTERN_CO_CHECK(check_password(name, password));
  const WallTime now = clock_.wall();
  User user{.id = random_.uuid(),
            .email = name,
            .password_hash = {},
            .created = now,
            .updated = now,
            .last_login = {}};
  user.password_hash = co_await pool_.run([&] { return hash_password(password, random_); });
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto existing, tx.users().find_by_email(name));
    if (existing) return rejected(Reason::unprocessable, "user with a given email already exists");
    return tx.change_users().put(user);
  }));
  log_.info("user.created", {{"user", user.id}});
  co_return user.id;
}

net::awaitable<Result<std::string>> Accounts::log_in(std::string name, std::string password,
                                                     bool never_expires) {
  std::optional<User> user;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(user, tx.users().find_by_email(to_lower(name)));
    return {};
  }));
  if (logins_.fetch_add(1) >= kLoginsMax) {
    logins_.fetch_sub(1);
    co_return transient("too many log-ins at once");
  }
  const bool is_right = co_await pool_.run([&] {
    return password.size() <= kPasswordCharactersMax &&
           verify_password(password, user ? std::string_view(user->password_hash) : kNobodysHash);
  });
  logins_.fetch_sub(1);
  if (!user || !is_right) {
    log_.warn("user.login_refused", {{"user", user ? user->id : "unknown"}});
    co_return unauthorized("unauthorized");
  }
  co_return co_await open_session(*std::move(user), never_expires);
}

net::awaitable<Result<std::string>> Accounts::open_session(User user, bool never_expires) {
  const WallTime now = clock_.wall();
  UserToken token{.id = random_.uuid(), .user_id = user.id, .created = now, .expires = {}};
  if (!never_expires) token.expires = now + kTokenLifetime;
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(auto current, tx.users().find(user.id));
    if (!current || current->password_hash != user.password_hash) return unauthorized("unauthorized");
    POSTERN_TRY(auto sessions, tx.users().tokens(user.id));
    std::ranges::sort(sessions, {}, &UserToken::created);
    for (std::size_t i = 0; i + kSessionsMax <= sessions.size(); ++i) {
      POSTERN_CHECK(tx.change_users().erase_token(user.id, sessions[i].id));
    }
    current->last_login = now;
    POSTERN_CHECK(tx.change_users().put(*current));
    return tx.change_users().put_token(token);
  }));
  log_.info("user.logged_in", {{"user", user.id}});
  co_return tokens_.issue(token.id, token.user_id, now, token.expires);
}

net::awaitable<Status> Accounts::log_out(Session session) {
  co_return co_await store_.transact(
      [&](WriteTx& tx) { return tx.change_users().erase_token(session.user_id, session.token_id); });
}

net::awaitable<Result<Session>> Accounts::identify(std::string token) {
  POSTERN_CO_TRY(const TokenClaims claims, tokens_.check(token, clock_.wall()));
  bool is_live = false;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(const auto record, tx.users().find_token(claims.subject, claims.id));
    is_live = record.has_value();
    return {};
  }));
  if (!is_live) co_return unauthorized("unauthorized");
  co_return Session{.user_id = claims.subject, .token_id = claims.id};
}

}  // namespace postern::cloud
