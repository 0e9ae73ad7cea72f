// The last poll that led to each artifact, so that a dead link can be renewed in that device's name.
#pragma once

#include <map>
#include <mutex>

#include "gateway/cache/catalog.hpp"
#include "shared/http/message.hpp"

namespace postern::gateway {

/// A poll as it went to the upstream.
struct Poll {
  std::string method;
  std::string target;
  http::Headers headers;
  std::string body;

  http::Request to_request() const;
};

/// In memory only, because it holds tokens: after a restart links are renewed by the next poll of a device.
/// Bounded; thread-safe.
class Polls {
 public:
  static constexpr std::size_t kPollsMax = 1000;

  void note(const ArtifactKey& key, Poll poll);
  std::optional<Poll> find(const ArtifactKey& key) const;

 private:
  mutable std::mutex mutex_;
  std::map<ArtifactKey, Poll> polls_;
};

}  // namespace postern::gateway
