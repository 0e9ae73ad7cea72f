// The bare loop: accept, TLS, an answer from memory. One thread, one epoll; both the upstream of the
// benchmarks and, with an artifact and with client certificates, the floor that their downloads are compared
// with.
#pragma once

#include <string>
#include <unordered_map>

#include "testbed/benchmarks/server/content.hpp"
#include "testbed/benchmarks/wire/socket.hpp"
#include "testbed/benchmarks/wire/tls.hpp"

namespace postern::bench {

class Server {
 public:
  Server(Fd listener, SSL_CTX& context, Content& content);
  /// Until the poller or memory fails, which throws; a signal ends the program.
  [[noreturn]] void run();

 private:
  struct Connection {
    Fd socket;
    Ssl ssl;
    bool is_shaken = false;
    std::string input;
    std::uint64_t body_left = 0;  ///< of a request, to be read over
    Answer answer;
    std::size_t head_sent = 0;
    bool is_answering = false;
    bool is_last = false;  ///< the client wants the connection closed after this answer
  };
  /// What became of a turn.
  enum class Turn { waits, more, over };

  void accept_all();
  void serve(std::uint64_t id);
  Turn turn(Connection& connection);
  Turn read_requests(Connection& connection);
  bool take_request(Connection& connection);
  Turn write_answer(Connection& connection);
  static Turn wait_or_end(const Connection& connection, int outcome);

  Fd listener_;
  SSL_CTX& context_;
  Content& content_;
  Poller poller_;
  std::unordered_map<std::uint64_t, Connection> connections_;
  std::vector<std::uint64_t> ready_;
  std::uint64_t last_id_ = 0;
};

}  // namespace postern::bench
