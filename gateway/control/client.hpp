// The commands' side of the control socket.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/json/value.hpp>

#include "shared/http/client.hpp"
#include "shared/transport/unix.hpp"

namespace postern::gateway {

/// Asks the gateway that runs on this machine. Every call blocks until there is an answer.
class ControlClient {
 public:
  /// The first of the sockets at which somebody listens is asked. Errors: not_found, forbidden.
  static Result<std::unique_ptr<ControlClient>> connect(std::vector<std::string> sockets, Clock& clock,
                                                        Log& log);

  /// Errors: what the gateway says.
  Result<boost::json::value> ask(std::string method, std::string path,
                                 const boost::json::value* body = nullptr);
  /// Lets time pass.
  void wait(Duration duration);

 private:
  ControlClient(const std::string& socket, Clock& clock, Log& log);
  net::awaitable<Result<boost::json::value>> exchange(std::string method, std::string path,
                                                      const boost::json::value* body);

  net::io_context context_{1};
  Clock& clock_;
  UnixNetwork network_;
  http::Client client_;
};

}  // namespace postern::gateway
