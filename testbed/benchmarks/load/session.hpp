// One client: a connection after another to the same server, and one request after another on each.
#pragma once

#include <array>
#include <memory>
#include <string>

#include <openssl/evp.h>

#include "testbed/benchmarks/load/options.hpp"
#include "testbed/benchmarks/load/requests.hpp"
#include "testbed/benchmarks/wire/head.hpp"
#include "testbed/benchmarks/wire/socket.hpp"
#include "testbed/benchmarks/wire/tls.hpp"

namespace postern::bench {

/// How far a session came.
enum class Step {
  waits,     ///< for its socket
  paced,     ///< until due(): it has read as much as it may
  yields,    ///< it could go on, but others have a turn
  answered,  ///< the whole answer is there
  failed,    ///< error() says why
};

class Session {
 public:
  Session(const Options& options, Requests& requests, SSL_CTX& context, const Identity& identity);

  /// Begins with a new connection; the request follows by itself. `owner` is its number at the poller.
  void open(Poller& poller, std::uint64_t owner);
  /// The next request on the connection that stands.
  void ask();
  Step advance();
  /// Says good-bye where TLS can, and closes.
  void close();

  bool is_open() const { return phase_ != Phase::closed && phase_ != Phase::handshake; }
  /// Whether the connection cannot be used again after this answer.
  bool is_spent() const { return is_spent_; }
  int status() const { return status_; }
  TimePoint due() const { return due_; }
  /// Body bytes of all its answers.
  std::uint64_t bytes() const { return bytes_; }
  const std::string& error() const { return error_; }
  /// SHA-256 of the answer that ended, in hexadecimal; empty unless asked for.
  std::string digest();

 private:
  enum class Phase { closed, handshake, request, head, body, idle };

  struct DigestDeleter {
    void operator()(EVP_MD_CTX* digest) const { EVP_MD_CTX_free(digest); }
  };

  Step shake_hands();
  Step send();
  Step receive_head();
  Step receive_body();
  Step receive_blindly();
  /// Walks over TLS records in `data`.
  bool skim(std::string_view data);
  void take_body(std::string_view data);
  Step end_of_answer();
  /// What OpenSSL's return value means for this session.
  Step wait_or_fail(int outcome, const char* what);
  Step fail_with(std::string error);

  const Options& options_;
  Requests& requests_;
  SSL_CTX& context_;
  const Identity& identity_;
  std::string request_;
  Fd socket_;
  Ssl ssl_;
  Phase phase_ = Phase::closed;
  std::size_t sent_ = 0;
  std::string head_;
  std::uint64_t body_left_ = 0;
  std::array<unsigned char, 5> record_head_{};
  std::size_t record_head_size_ = 0;
  std::size_t record_left_ = 0;
  std::size_t record_plain_ = 0;
  bool is_spent_ = false;
  int status_ = 0;
  std::uint64_t bytes_ = 0;
  TimePoint due_{};
  std::unique_ptr<EVP_MD_CTX, DigestDeleter> digest_;
  std::string error_;
};

}  // namespace postern::bench
