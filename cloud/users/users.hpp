// Users and the tokens they hold.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/base/clock.hpp"

namespace postern::cloud {

struct User {
  std::string id;
  std::string email;  ///< lower case; at a Postern server any name will do
  std::string password_hash;
  WallTime created;
  WallTime updated;
  std::optional<WallTime> last_login;
};

/// A token that is on record, and so good until it expires (management-api 0.2).
struct UserToken {
  std::string id;
  std::string user_id;
  WallTime created;
  std::optional<WallTime> expires;
};

class UserReader {
 public:
  virtual ~UserReader() = default;
  virtual Result<std::optional<User>> find(std::string_view id) const = 0;
  virtual Result<std::optional<User>> find_by_email(std::string_view email) const = 0;
  virtual Result<std::optional<UserToken>> find_token(std::string_view user_id,
                                                      std::string_view token_id) const = 0;
  /// All tokens of a user, in no particular order.
  virtual Result<std::vector<UserToken>> tokens(std::string_view user_id) const = 0;
};

class UserWriter {
 public:
  virtual ~UserWriter() = default;
  virtual Status put(const User& user) = 0;
  virtual Status put_token(const UserToken& token) = 0;
  virtual Status erase_token(std::string_view user_id, std::string_view token_id) = 0;
};

}  // namespace postern::cloud
