#include "cloud/users/accounts.hpp"

#include <algorithm>

#include "cloud/users/rules.hpp"
#include "shared/base/text.hpp"

namespace postern::cloud {
namespace {

/// Makes room for one more session: those that are over go, and the oldest beyond the limit.
Status end_old_sessions(WriteTx& tx, const std::string& user_id, WallTime now) {
  POSTERN_TRY(auto sessions, tx.users().tokens(user_id));
  std::erase_if(sessions, [](const UserToken& token) { return token.is_personal(); });
  std::ranges::sort(sessions, {}, &UserToken::created);
  std::size_t live =
      static_cast<std::size_t>(std::ranges::count_if(sessions, [&](auto& s) { return !s.is_over(now); }));
  for (const UserToken& session : sessions) {
    const bool is_over = session.is_over(now);
    if (!is_over && live < Accounts::kSessionsMax) continue;
    if (!is_over) --live;
    POSTERN_CHECK(tx.change_users().erase_token(user_id, session.id));
  }
  return {};
}

AuditEntry token_entry(std::string action, const Session& by, const UserToken& token, WallTime now) {
  return {
      .time = now,
      .action = std::move(action),
      .actor = by.actor(),
      .object = {.type = "token", .id = token.id, .name = token.name, .artifact_name = {}, .identity = {}},
      .change = {},
      .sessions = {}};
}

}  // namespace

Accounts::Accounts(Store& store, UserTokens& tokens, Pool& pool, Clock& clock, Random& random, Log& log,
                   std::uint64_t password_cost)
    : store_(store),
      tokens_(tokens),
      clock_(clock),
      random_(random),
      log_(log),
      passwords_(pool, random, password_cost),
      guesses_(clock),
      uses_(store, clock, log) {}

net::awaitable<Result<LogIn>> Accounts::log_in(LogInRequest request) {
  if (const auto wait = guesses_.begin(request.name, request.peer)) {
    log_.warn("user.login_slowed", {{"peer", request.peer}});
    co_return LogIn{.token = {}, .wait = wait};
  }
  std::optional<User> user;
  const Status found = co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(user, tx.users().find_by_email(to_lower(request.name)));
    return {};
  });
  auto is_right = found ? co_await passwords_.check(request.password,
                                                    user ? std::optional(user->password_hash) : std::nullopt)
                        : Result<bool>(found.error());
  if (!is_right) {
    guesses_.undo(request.name, request.peer);
    co_return is_right.error();
  }
  if (!*is_right) {
    log_.warn("user.login_refused", {{"user", user ? user->id : "unknown"}, {"peer", request.peer}});
    co_return unauthorized("unauthorized");
  }
  guesses_.succeeded(request.name, request.peer);
  std::optional<std::string> new_hash;
  if (passwords_.is_outdated(user->password_hash)) {
    POSTERN_CO_TRY(new_hash, co_await passwords_.hash(request.password));
  }
  POSTERN_CO_TRY(std::string token, co_await open_session(*std::move(user), request.never_expires, new_hash));
  co_return LogIn{.token = std::move(token), .wait = {}};
}

net::awaitable<Result<std::string>> Accounts::open_session(User user, bool never_expires,
                                                           std::optional<std::string> new_hash) {
  const WallTime now = clock_.wall();
  UserToken token{
      .id = random_.uuid(), .user_id = user.id, .created = now, .expires = {}, .name = {}, .last_used = {}};
  if (!never_expires) token.expires = now + kTokenLifetime;
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(auto current, tx.users().find(user.id));
    if (!current || current->password_hash != user.password_hash) return unauthorized("unauthorized");
    POSTERN_CHECK(end_old_sessions(tx, user.id, now));
    current->last_login = now;
    if (new_hash) current->password_hash = *new_hash;
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
  std::optional<UserToken> record;
  std::optional<User> user;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(record, tx.users().find_token(claims.subject, claims.id));
    if (!record) return {};
    POSTERN_TRY(user, tx.users().find(claims.subject));
    return {};
  }));
  if (!record || !user) co_return unauthorized("unauthorized");
  uses_.note(*record);
  co_await uses_.flush_when_due();
  co_return Session{.user_id = claims.subject, .token_id = claims.id, .email = std::move(user->email)};
}

net::awaitable<Result<std::string>> Accounts::create_token(Session by, std::string name,
                                                           std::chrono::seconds lifetime) {
  POSTERN_CO_CHECK(check_token_name(name));
  if (lifetime < std::chrono::seconds(0)) co_return invalid("expires_in: must be no less than 0.");
  if (lifetime > kPersonalTokenLifetimeMax) {
    co_return invalid(
        fmt::format("expires_in: must be no greater than {}.", kPersonalTokenLifetimeMax.count()));
  }
  const WallTime now = clock_.wall();
  UserToken token{.id = random_.uuid(),
                  .user_id = by.user_id,
                  .created = now,
                  .expires = {},
                  .name = std::move(name),
                  .last_used = {}};
  if (lifetime > std::chrono::seconds(0)) token.expires = now + lifetime;
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto user, tx.users().find(by.user_id));
    if (!user) return unauthorized("unauthorized");
    POSTERN_TRY(const auto existing, tx.users().tokens(by.user_id));
    std::size_t count = 0;
    for (const UserToken& each : existing) {
      if (!each.is_personal()) continue;
      if (each.is_over(now)) {
        POSTERN_CHECK(tx.change_users().erase_token(by.user_id, each.id));
        continue;
      }
      ++count;
      if (each.name == token.name) return conflict("Personal Access Token with a given name already exists");
    }
    if (count >= kPersonalTokensMax) {
      return rejected(Reason::unprocessable, "maximum number of personal acess tokens reached for this user");
    }
    POSTERN_CHECK(tx.change_users().put_token(token));
    return tx.change_audit().add(token_entry("create", by, token, now));
  }));
  log_.info("token.created", {{"user", by.user_id}, {"token", token.id}});
  co_return tokens_.issue(token.id, token.user_id, now, token.expires);
}

net::awaitable<Result<std::vector<UserToken>>> Accounts::personal_tokens(Session by) {
  std::vector<UserToken> tokens;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(tokens, tx.users().tokens(by.user_id));
    return {};
  }));
  const WallTime now = clock_.wall();
  std::erase_if(tokens, [&](const UserToken& token) { return !token.is_personal() || token.is_over(now); });
  std::ranges::sort(tokens, {}, [](const UserToken& token) { return std::pair(token.created, token.id); });
  for (UserToken& token : tokens) token.last_used = uses_.last_used(token);
  co_return tokens;
}

net::awaitable<Status> Accounts::erase_token(Session by, std::string token_id) {
  co_return co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto token, tx.users().find_token(by.user_id, token_id));
    if (!token || !token->is_personal()) return {};
    POSTERN_CHECK(tx.change_users().erase_token(by.user_id, token_id));
    return tx.change_audit().add(token_entry("delete", by, *token, now));
  });
}

}  // namespace postern::cloud
