#include "gateway/relay/polls.hpp"

namespace postern::gateway {

http::Request Poll::to_request() const {
  http::Request request;
  request.method = method;
  request.target = target;
  request.headers = headers;
  request.may_repeat = true;
  request.body = std::make_unique<http::TextBody>(body);
  return request;
}

void Polls::note(const ArtifactKey& key, Poll poll) {
  const std::lock_guard lock(mutex_);
  if (polls_.size() >= kPollsMax && !polls_.contains(key)) polls_.erase(polls_.begin());
  polls_[key] = std::move(poll);
}

std::optional<Poll> Polls::find(const ArtifactKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = polls_.find(key);
  if (found == polls_.end()) return std::nullopt;
  return found->second;
}

}  // namespace postern::gateway
