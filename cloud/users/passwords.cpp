#include "cloud/users/passwords.hpp"

#include <fmt/format.h>

#include "cloud/users/rules.hpp"

namespace postern::cloud {

/// One of the kWaitingMax places, if there was one.
class Passwords::Place {
 public:
  explicit Place(std::atomic<int>& taken) : taken_(taken), is_mine_(taken.fetch_add(1) < kWaitingMax) {}
  ~Place() { taken_.fetch_sub(1); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  Status status() const {
    return is_mine_ ? Status{} : Status(transient("too many passwords to check at once"));
  }

 private:
  std::atomic<int>& taken_;
  bool is_mine_;
};

Passwords::Passwords(Pool& pool, Random& random, std::uint64_t cost)
    : pool_(pool),
      random_(random),
      cost_(cost),
      nobodys_hash_(fmt::format("scrypt${}${:A<22}${:A<43}", cost, "", "")) {}

net::awaitable<Result<std::string>> Passwords::hash(std::string password) {
  const Place place(waiting_);
  POSTERN_CO_CHECK(place.status());
  co_return co_await pool_.run([&] { return hash_password(password, random_, cost_); });
}

net::awaitable<Result<bool>> Passwords::check(std::string password, std::optional<std::string> hash) {
  if (password.size() > kPasswordCharactersMax) co_return false;
  const Place place(waiting_);
  POSTERN_CO_CHECK(place.status());
  const bool is_right =
      co_await pool_.run([&] { return verify_password(password, hash.value_or(nobodys_hash_)); });
  co_return is_right&& hash.has_value();
}

}  // namespace postern::cloud
