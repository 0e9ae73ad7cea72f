// The part of Accounts that makes and changes users.
#include "cloud/users/accounts.hpp"
#include "cloud/users/rules.hpp"
#include "shared/base/text.hpp"

namespace postern::cloud {
namespace {

Error unprocessable(std::string_view text) {
  return rejected(Reason::unprocessable, std::string(text));
}

Error name_taken() {
  return unprocessable("user with a given email already exists");
}

AuditEntry user_entry(std::string action, AuditEntry::Actor by, const User& user, WallTime now) {
  return {.time = now,
          .action = std::move(action),
          .actor = std::move(by),
          .object = {.type = "user", .id = user.id, .name = user.email, .artifact_name = {}, .identity = {}},
          .change = {},
          .sessions = {}};
}

Status erase_tokens(WriteTx& tx, const std::string& user_id, std::string_view but) {
  POSTERN_TRY(const auto tokens, tx.users().tokens(user_id));
  for (const UserToken& token : tokens) {
    if (token.id == but) continue;
    POSTERN_CHECK(tx.change_users().erase_token(user_id, token.id));
  }
  return {};
}

std::string describe(const User& before, const User& after) {
  std::string text = fmt::format("Updated user {}:\n", before.email);
  if (before.email != after.email) text += fmt::format("email: {} -> {}\n", before.email, after.email);
  if (before.password_hash != after.password_hash) text += "password: changed\n";
  return text;
}

/// The rules that need no password check.
Status check_change(const User& user, bool is_own, const UserChange& change) {
  if (!is_own && change.password) return unprocessable("password cannot be modified");
  if (change.email) POSTERN_CHECK(check_email(*change.email));
  if (change.email && change.current_password && is_similar(*change.email, *change.current_password)) {
    return unprocessable("password is too similar to the email");
  }
  if (!change.password) return {};
  POSTERN_CHECK(check_password(user.email, *change.password));
  return change.email ? check_password(to_lower(*change.email), *change.password) : Status{};
}

}  // namespace

net::awaitable<Result<std::string>> Accounts::create(std::string name, std::string password, std::string id) {
  name = to_lower(name);
  POSTERN_CO_CHECK(check_name(name));
  if (!id.empty() && !is_uuid(id)) co_return invalid(fmt::format("user id {}: is no UUID", id));
  const WallTime now = clock_.wall();
  User user{.id = id.empty() ? random_.uuid() : std::move(id),
            .email = std::move(name),
            .password_hash = {},
            .created = now,
            .updated = now,
            .last_login = {}};
  co_return co_await add(std::move(user), std::move(password), std::nullopt);
}

net::awaitable<Result<std::string>> Accounts::create(Session by, std::string email, std::string password) {
  email = to_lower(email);
  POSTERN_CO_CHECK(check_email(email));
  const WallTime now = clock_.wall();
  User user{.id = random_.uuid(),
            .email = std::move(email),
            .password_hash = {},
            .created = now,
            .updated = now,
            .last_login = {}};
  co_return co_await add(std::move(user), std::move(password), by.actor());
}

net::awaitable<Result<std::string>> Accounts::add(User user, std::string password,
                                                  std::optional<AuditEntry::Actor> by) {
  POSTERN_CO_CHECK(check_password(user.email, password));
  POSTERN_CO_TRY(user.password_hash, co_await passwords_.hash(std::move(password)));
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto existing, tx.users().find_by_email(user.email));
    if (existing) return name_taken();
    POSTERN_TRY(const auto same_id, tx.users().find(user.id));
    if (same_id) return unprocessable("user with a given ID already exists");
    POSTERN_CHECK(tx.change_users().put(user));
    return by ? tx.change_audit().add(user_entry("create", *by, user, user.created)) : Status{};
  }));
  log_.info("user.created", {{"user", user.id}});
  co_return user.id;
}

net::awaitable<Status> Accounts::set_password(std::string name, std::string password) {
  name = to_lower(name);
  POSTERN_CO_CHECK(check_password(name, password));
  POSTERN_CO_TRY(const std::string hash, co_await passwords_.hash(std::move(password)));
  co_return co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(auto user, tx.users().find_by_email(name));
    if (!user) return not_found("user not found");
    user->password_hash = hash;
    user->updated = now;
    POSTERN_CHECK(erase_tokens(tx, user->id, {}));
    return tx.change_users().put(*user);
  });
}

net::awaitable<Result<User>> Accounts::find(std::string user_id) {
  std::optional<User> user;
  POSTERN_CO_CHECK(co_await store_.read([&](const ReadTx& tx) -> Status {
    POSTERN_TRY(user, tx.users().find(user_id));
    return {};
  }));
  if (!user) co_return not_found("user not found");
  co_return *std::move(user);
}

net::awaitable<Result<std::optional<Duration>>> Accounts::check_current(const User& user,
                                                                        std::string password,
                                                                        std::string peer) {
  if (const auto wait = guesses_.begin(user.email, peer)) co_return wait;
  const auto is_right = co_await passwords_.check(std::move(password), user.password_hash);
  if (!is_right) {
    guesses_.undo(user.email, peer);
    co_return is_right.error();
  }
  if (!*is_right) co_return unprocessable("current password mismatch");
  guesses_.succeeded(user.email, peer);
  co_return std::nullopt;
}

net::awaitable<Result<std::optional<Duration>>> Accounts::change(Session by, std::string peer,
                                                                 std::string user_id, UserChange change) {
  if (!change.email && !change.password) co_return invalid("no update information provided");
  POSTERN_CO_TRY(const User user, co_await find(user_id));
  const bool is_own = user.id == by.user_id;
  if (is_own && !change.current_password) co_return unprocessable("current password mismatch");
  POSTERN_CO_CHECK(check_change(user, is_own, change));
  if (is_own) {
    POSTERN_CO_TRY(const auto wait, co_await check_current(user, *change.current_password, peer));
    if (wait) co_return wait;
  }
  const WallTime now = clock_.wall();
  Revision revision{.before = user, .after = user};
  revision.after.updated = now;
  if (change.email) revision.after.email = to_lower(*change.email);
  if (change.password) {
    POSTERN_CO_TRY(revision.after.password_hash, co_await passwords_.hash(*std::move(change.password)));
  }
  POSTERN_CO_CHECK(
      co_await store_.transact([&](WriteTx& tx) { return store_revision(tx, revision, by, now); }));
  log_.info("user.changed", {{"user", user.id}, {"by", by.user_id}});
  co_return std::nullopt;
}

Status Accounts::store_revision(WriteTx& tx, const Revision& revision, const Session& by, WallTime now) {
  const User& before = revision.before;
  const User& after = revision.after;
  POSTERN_TRY(const auto current, tx.users().find(before.id));
  if (!current) return not_found("user not found");
  if (current->email != before.email || current->password_hash != before.password_hash ||
      current->updated != before.updated) {
    return conflict("entity tag did not match any records");
  }
  POSTERN_TRY(const auto of_that_name, tx.users().find_by_email(after.email));
  if (of_that_name && of_that_name->id != after.id) return name_taken();
  User stored = after;
  stored.last_login = current->last_login;
  POSTERN_CHECK(tx.change_users().put(stored));
  POSTERN_CHECK(erase_tokens(tx, after.id, by.token_id));
  AuditEntry entry = user_entry("update", by.actor(), after, now);
  entry.change = describe(before, after);
  return tx.change_audit().add(std::move(entry));
}

net::awaitable<Status> Accounts::erase(Session by, std::string user_id) {
  bool was_there = false;
  POSTERN_CO_CHECK(co_await store_.transact([&, now = clock_.wall()](WriteTx& tx) -> Status {
    POSTERN_TRY(const auto user, tx.users().find(user_id));
    was_there = user.has_value();
    if (!user) return {};
    POSTERN_CHECK(erase_tokens(tx, user->id, {}));
    POSTERN_CHECK(tx.change_users().erase(*user));
    return tx.change_audit().add(user_entry("delete", by.actor(), *user, now));
  }));
  if (was_there) log_.info("user.deleted", {{"user", user_id}, {"by", by.user_id}});
  co_return Status{};
}

}  // namespace postern::cloud
