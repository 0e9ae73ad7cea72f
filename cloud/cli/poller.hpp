// Asking the server again and again until something has come about.
#pragma once

#include <optional>

#include <boost/json/value.hpp>

#include "cloud/cli/commands.hpp"

namespace postern::cli {

/// Once a server has answered it may be away for up to two minutes; one that cannot be reached to begin with
/// is rather a wrong address. Ends on time also when the server hangs.
class Poller {
 public:
  Poller(Context& context, Duration timeout);

  /// The answer; nothing when the server is away: ask again later. Errors: those of ApiClient::get.
  net::awaitable<Result<std::optional<boost::json::value>>> get(std::string path);
  /// Waits for the next turn; false when the time is up.
  net::awaitable<Result<bool>> pause();

 private:
  Context& context_;
  SteadyTime end_;
  bool has_answered_ = false;
  std::optional<SteadyTime> away_since_;
};

}  // namespace postern::cli
