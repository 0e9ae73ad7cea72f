// The commands of postern-gateway that ask one that runs.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "gateway/control/client.hpp"
#include "shared/cli/progress.hpp"

namespace postern::gateway {

/// What a command ends with, besides 0 for done, 1 for an error and 2 for wrong usage.
inline constexpr int kFoundBad = 3;

struct CommandOptions {
  bool json = false;                   ///< what the gateway answers, instead of text
  std::vector<std::string> artifacts;  ///< names or keys
  bool force = false;
  std::string what;  ///< to prefetch: a name or a URL
  std::string at;
  std::string daily;
  bool wait = false;
  std::uint64_t id = 0;
};

/// Results go to `out`, progress to `screen`. Each returns the exit status, or an error.
class Commands {
 public:
  Commands(ControlClient& client, Clock& clock, std::ostream& out, cli::Screen screen)
      : client_(client), clock_(clock), out_(out), screen_(std::move(screen)) {}

  Result<int> status(const CommandOptions& options);
  Result<int> list_cache(const CommandOptions& options);
  /// kFoundBad when something of it is bad.
  Result<int> verify(const CommandOptions& options);
  Result<int> pin(const CommandOptions& options);
  Result<int> unpin(const CommandOptions& options);
  Result<int> evict(const CommandOptions& options);
  Result<int> collect(const CommandOptions& options);
  /// With `wait`: kFoundBad when it has failed for good.
  Result<int> prefetch(const CommandOptions& options);
  Result<int> list_prefetches(const CommandOptions& options);
  Result<int> cancel_prefetch(const CommandOptions& options);

 private:
  using Text = std::string (*)(const boost::json::value&);

  Result<int> show(const std::string& path, const CommandOptions& options, Text text);
  Result<int> change(std::string_view verb, std::string_view done, const CommandOptions& options);
  Result<int> follow(std::int64_t id, const CommandOptions& options);
  void print(const boost::json::value& answer, const CommandOptions& options, const std::string& text);

  ControlClient& client_;
  Clock& clock_;
  std::ostream& out_;
  cli::Screen screen_;
};

}  // namespace postern::gateway
