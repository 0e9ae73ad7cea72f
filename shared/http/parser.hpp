// HTTP/1.1 parsing without I/O: bytes in, heads and body pieces out. The only part that sees Beast.
#pragma once

#include <memory>

#include "shared/http/message.hpp"

namespace postern::http {

/// The head of a request or of a response.
struct Head {
  std::string method;  ///< of a request
  std::string target;  ///< of a request
  int status = 0;      ///< of a response
  Headers headers;
  bool keep_alive = true;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
};

enum class MessageKind { request, response };

/// Parses one message. Stricter than HTTP allows where leniency is how requests are smuggled: a bare line
/// feed, a folded header line, Content-Length beside Transfer-Encoding, any transfer coding but `chunked`, an
/// absolute-form target and differing Host fields are refused. Two equal Host fields are taken: a
/// microcontroller client sends them (decision 4).
class Parser {
 public:
  Parser(MessageKind kind, std::size_t head_bytes_max);
  ~Parser();
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;

  /// Takes bytes of the head; returns how many it used. What it did not use has to be given again, with more
  /// behind it, unless head_done(). Errors: invalid (malformed), too_large.
  Result<std::size_t> feed_head(Bytes input);
  bool head_done() const;
  const Head& head() const;
  /// The same, for the one who keeps it; head() is empty afterwards.
  Head take_head();

  /// A response to HEAD has no body whatever its head says. Call it before any body byte is fed.
  void expect_no_body();

  struct Progress {
    std::size_t used = 0;
    Bytes piece;  ///< payload, inside the input; may be empty though bytes were used
  };
  /// Takes bytes of the body, at most one piece at a time. Errors: invalid.
  Result<Progress> feed_body(Bytes input);
  /// The peer has closed. Errors: closed when the message was not complete.
  Status feed_end();
  /// The whole message, body included, has been seen.
  bool done() const;

  class Implementation;  ///< in parser.cpp, where Beast is

 private:
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace postern::http
