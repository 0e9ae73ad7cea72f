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
  std::string name;                   ///< of a personal access token; empty: a log-in session
  std::optional<WallTime> last_used;  ///< of a personal access token

  bool is_personal() const { return !name.empty(); }
  bool is_over(WallTime now) const { return expires && *expires <= now; }
};

/// An object that user interfaces keep here (management-api 1.4).
struct Settings {
  std::string etag;  ///< a UUID, another one after each change
  std::string text;  ///< a JSON object
};

class UserReader {
 public:
  virtual ~UserReader() = default;
  virtual Result<std::optional<User>> find(std::string_view id) const = 0;
  virtual Result<std::optional<User>> find_by_email(std::string_view email) const = 0;
  /// All users, ordered by id.
  virtual Result<std::vector<User>> list() const = 0;
  virtual Result<std::optional<UserToken>> find_token(std::string_view user_id,
                                                      std::string_view token_id) const = 0;
  /// All tokens of a user, in no particular order.
  virtual Result<std::vector<UserToken>> tokens(std::string_view user_id) const = 0;
  /// Of a user; those that all share, for the empty id. Nothing when they were never set.
  virtual Result<std::optional<Settings>> settings(std::string_view user_id) const = 0;
};

class UserWriter {
 public:
  virtual ~UserWriter() = default;
  virtual Status put(const User& user) = 0;
  /// Together with the user's settings; tokens are another matter.
  virtual Status erase(const User& user) = 0;
  virtual Status put_token(const UserToken& token) = 0;
  virtual Status erase_token(std::string_view user_id, std::string_view token_id) = 0;
  virtual Status put_settings(std::string_view user_id, const Settings& settings) = 0;
};

}  // namespace postern::cloud
