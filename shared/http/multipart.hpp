// Reading multipart bodies as they arrive (RFC 2046 section 5.1).
#pragma once

#include "shared/http/message.hpp"

namespace postern::http {

/// Walks through the parts of a body, one after another, in the order they arrive. Memory is bounded by one
/// piece of the source and one part head.
class MultipartReader {
 public:
  /// Reads the boundary from a Content-Type. Errors: unsupported (not multipart/form-data or
  /// multipart/mixed), invalid (no boundary, or one beyond 70 characters).
  static Result<std::string> boundary_of(std::string_view content_type);

  MultipartReader(Body& source, std::string boundary);

  /// Goes on to the next part, skipping what is left of the current one. False: there is none.
  /// Errors: invalid (malformed, or the body ends in the middle), too_large (a part head beyond 8 KiB).
  net::awaitable<Result<bool>> next_part();
  /// Of the current part.
  const Headers& headers() const { return headers_; }
  /// The `name` of its Content-Disposition, empty when there is none.
  const std::string& name() const { return name_; }
  /// The next piece of the current part, valid until the next call; empty at its end.
  net::awaitable<Result<Bytes>> read();
  /// The rest of the current part as text. Errors: too_large.
  net::awaitable<Result<std::string>> read_text(std::size_t size_max);

 private:
  /// Appends what the source gives to the buffer; false at its end.
  net::awaitable<Result<bool>> fill();
  Status parse_part_head(std::string_view head);

  Body& source_;
  std::string delimiter_;  ///< CRLF "--" boundary
  std::string buffer_;
  std::size_t consumed_ = 0;  ///< of the buffer: given out by the last read()
  enum class State { preamble, part, between, end } state_ = State::preamble;
  Headers headers_;
  std::string name_;
};

}  // namespace postern::http
