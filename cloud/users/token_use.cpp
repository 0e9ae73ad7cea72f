#include "cloud/users/token_use.hpp"

namespace postern::cloud {

void TokenUse::note(const UserToken& token) {
  if (!token.is_personal()) return;
  const WallTime now = clock_.wall();
  if (token.last_used && now - *token.last_used < kGranularity) return;
  const std::scoped_lock lock(mutex_);
  const auto found = notes_.find(token.id);
  if (found != notes_.end() && now - found->second.at < kGranularity) return;
  if (notes_.empty()) oldest_ = now;
  notes_.insert_or_assign(token.id, Note{.user_id = token.user_id, .at = now});
}

std::optional<WallTime> TokenUse::last_used(const UserToken& token) const {
  const std::scoped_lock lock(mutex_);
  const auto found = notes_.find(token.id);
  return found == notes_.end() ? token.last_used : found->second.at;
}

net::awaitable<void> TokenUse::flush_when_due() {
  {
    const std::scoped_lock lock(mutex_);
    if (notes_.empty() || clock_.wall() - oldest_ < kFlushInterval) co_return;
    oldest_ = clock_.wall();  // others need not try meanwhile
  }
  const Status flushed = co_await flush();
  if (!flushed) log_.warn("token.use_not_stored", {{"error", flushed.error().what}});
}

net::awaitable<Status> TokenUse::flush() {
  std::map<std::string, Note, std::less<>> noted;
  {
    const std::scoped_lock lock(mutex_);
    noted = notes_;
  }
  if (noted.empty()) co_return Status{};
  POSTERN_CO_CHECK(co_await store_.transact([&](WriteTx& tx) -> Status {
    for (const auto& [id, note] : noted) {
      POSTERN_TRY(auto token, tx.users().find_token(note.user_id, id));
      if (!token) continue;
      token->last_used = note.at;
      POSTERN_CHECK(tx.change_users().put_token(*token));
    }
    return {};
  }));
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, note] : noted) {
    const auto found = notes_.find(id);
    if (found != notes_.end() && found->second.at == note.at) notes_.erase(found);
  }
  co_return Status{};
}

}  // namespace postern::cloud
