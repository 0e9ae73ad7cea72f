// A user's session at a Mender server: the public management API, for gateways that are known by a name and a
// password.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "gateway/upstream/upstream.hpp"
#include "shared/base/log.hpp"

namespace postern::gateway {

/// Logs in when it has to, and again when the token has ended. Thread-safe; runs where Upstream runs.
class ManagementSession {
 public:
  static constexpr std::size_t kAnswerBytesMax = 8 << 20;

  ManagementSession(Upstream& upstream, Log& log, std::string user, std::string password)
      : upstream_(upstream), log_(log), user_(std::move(user)), password_(std::move(password)) {}

  struct Answer {
    int status = 0;
    std::string body;
  };
  /// Sends what `make` makes; it may be asked twice. Errors: unauthorized (the user is refused); transient
  /// and others, when the upstream cannot be asked.
  net::awaitable<Result<Answer>> send(std::function<http::Request()> make);

 private:
  net::awaitable<Result<std::string>> log_in();
  std::string token();
  void set_token(std::string token);

  Upstream& upstream_;
  Log& log_;
  const std::string user_;
  const std::string password_;
  std::mutex mutex_;
  std::string token_;
};

/// A POST of JSON.
http::Request post_json(std::string target, std::string body);
/// An answer that was not foreseen, as an error; `call` says to what.
Error unexpected_answer(std::string_view call, int status, std::string_view body);

}  // namespace postern::gateway
