#include "cloud/store/convert.hpp"
#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/proto/users.pb.h"
#include "shared/store/record.hpp"

namespace postern::cloud {
namespace {

constexpr std::size_t kTokenIdCharactersMax = 128;

}  // namespace

Result<std::optional<User>> KvUsers::find(std::string_view id) const {
  if (id.empty() || id.size() > kIdCharactersMax) return std::nullopt;
  POSTERN_TRY(const auto record, get_record<record::User>(read(), kUsers, tenant_key().text(id)));
  if (!record) return std::nullopt;
  return from_record(*record);
}

Result<std::optional<User>> KvUsers::find_by_email(std::string_view email) const {
  if (email.empty() || email.size() > kIdCharactersMax) return std::nullopt;
  POSTERN_TRY(const auto id, read().get(kUserNames, tenant_key().text(email)));
  if (!id) return std::nullopt;
  return find(std::string(as_text(*id)));
}

Result<std::optional<UserToken>> KvUsers::find_token(std::string_view user_id,
                                                     std::string_view token_id) const {
  if (user_id.size() > kTokenIdCharactersMax || token_id.size() > kTokenIdCharactersMax) return std::nullopt;
  POSTERN_TRY(const auto record,
              get_record<record::UserToken>(read(), kUserTokens, tenant_key().text(user_id).text(token_id)));
  if (!record) return std::nullopt;
  return from_record(*record);
}

Result<std::vector<UserToken>> KvUsers::tokens(std::string_view user_id) const {
  std::vector<UserToken> tokens;
  POSTERN_CHECK(
      read().scan(kUserTokens, tenant_key().text(user_id), [&](Bytes key, Bytes value) -> Result<bool> {
        POSTERN_TRY(const auto record, decode_record<record::UserToken>(kUserTokens, key, value));
        tokens.push_back(from_record(record));
        return true;
      }));
  return tokens;
}

Result<std::vector<User>> KvUsers::list() const {
  std::vector<User> users;
  POSTERN_CHECK(read().scan(kUsers, tenant_key(), [&](Bytes key, Bytes value) -> Result<bool> {
    POSTERN_TRY(const auto record, decode_record<record::User>(kUsers, key, value));
    users.push_back(from_record(record));
    return true;
  }));
  return users;
}

Result<std::optional<Settings>> KvUsers::settings(std::string_view user_id) const {
  POSTERN_TRY(const auto record, get_record<record::Settings>(read(), kSettings, tenant_key().text(user_id)));
  if (!record) return std::nullopt;
  return Settings{.etag = record->etag(), .text = record->text()};
}

Status KvUsers::put_settings(std::string_view user_id, const Settings& settings) {
  record::Settings record;
  record.set_etag(settings.etag);
  record.set_text(settings.text);
  return put_record(write(), kSettings, tenant_key().text(user_id), record);
}

Status KvUsers::erase(const User& user) {
  POSTERN_CHECK(write().del(kUserNames, tenant_key().text(user.email)));
  POSTERN_CHECK(write().del(kSettings, tenant_key().text(user.id)));
  return write().del(kUsers, tenant_key().text(user.id));
}

Status KvUsers::put(const User& user) {
  POSTERN_TRY(const auto before, find(user.id));
  if (before && before->email != user.email) {
    POSTERN_CHECK(write().del(kUserNames, tenant_key().text(before->email)));
  }
  POSTERN_CHECK(write().put(kUserNames, tenant_key().text(user.email), as_bytes(user.id)));
  return put_record(write(), kUsers, tenant_key().text(user.id), to_record(user));
}

Status KvUsers::put_token(const UserToken& token) {
  return put_record(write(), kUserTokens, tenant_key().text(token.user_id).text(token.id), to_record(token));
}

Status KvUsers::erase_token(std::string_view user_id, std::string_view token_id) {
  if (token_id.size() > kTokenIdCharactersMax) return {};
  return write().del(kUserTokens, tenant_key().text(user_id).text(token_id));
}

}  // namespace postern::cloud
