// When personal access tokens were last used: noted in memory, stored in batches.
#pragma once

#include <map>
#include <mutex>

#include "cloud/store/store.hpp"
#include "shared/base/log.hpp"

namespace postern::cloud {

/// Thread-safe.
class TokenUse {
 public:
  /// How old what is known about a token gets before a use is noted (management-api 1.5).
  static constexpr std::chrono::minutes kGranularity{5};
  /// How long a note waits for others to be stored with.
  static constexpr std::chrono::minutes kFlushInterval{1};

  TokenUse(Store& store, Clock& clock, Log& log) : store_(store), clock_(clock), log_(log) {}

  /// Notes that a token is used. Bounded by the number of tokens.
  void note(const UserToken& token);
  /// Later than the record's when it was not stored yet.
  std::optional<WallTime> last_used(const UserToken& token) const;
  /// Stores what was noted once it has waited long enough. A failure is logged: it keeps nobody out.
  net::awaitable<void> flush_when_due();
  /// Stores what was noted.
  net::awaitable<Status> flush();

 private:
  struct Note {
    std::string user_id;
    WallTime at;
  };

  Store& store_;
  Clock& clock_;
  Log& log_;
  mutable std::mutex mutex_;
  std::map<std::string, Note, std::less<>> notes_;  ///< by token
  WallTime oldest_;                                 ///< of the notes, when there are any
};

}  // namespace postern::cloud
