#include "cloud/store/convert.hpp"
#include "cloud/store/kv_aggregates.hpp"
#include "cloud/store/tables.hpp"
#include "shared/store/record.hpp"

namespace postern::cloud {

Result<std::optional<User>> KvUsers::find(std::string_view id) const {
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
  return write().del(kUserTokens, tenant_key().text(user_id).text(token_id));
}

}  // namespace postern::cloud
