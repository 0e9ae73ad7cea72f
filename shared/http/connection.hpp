// What the server's and the client's end of a connection have in common: buffered reading of one message
// after another, and writing of bodies.
#pragma once

#include "shared/http/message.hpp"
#include "shared/http/parser.hpp"
#include "shared/transport/stream.hpp"

namespace postern::http {

/// Reads messages from a stream. What one message did not use is kept for the next.
class MessageReader {
 public:
  MessageReader(MessageKind kind, std::size_t head_bytes_max);

  /// Waits for the first byte of the next message. False: the peer has closed in an orderly way.
  net::awaitable<Result<bool>> wait(Stream& stream);
  /// Reads the head of the next message. Errors: those of Parser and Stream; closed.
  net::awaitable<Result<Head>> read_head(Stream& stream);
  /// See Parser::expect_no_body.
  void expect_no_body() { parser_.expect_no_body(); }
  /// The next piece of the body, valid until the next call; empty at the end.
  net::awaitable<Result<Bytes>> read_body(Stream& stream);
  /// The message, body included, has been read.
  bool message_done() const { return parser_.done(); }
  /// What has arrived behind the message. Valid until the next call.
  Bytes rest() const { return unread(); }
  /// Gives the buffer back, if there is nothing in it: a long answer needs none, and a connection that waits
  /// for its next request neither.
  void release() {
    if (!is_drained()) return;
    buffer_.reset();
    begin_ = end_ = 0;
  }
  /// Nothing of a following message has arrived.
  bool is_drained() const { return begin_ == end_; }

 private:
  Bytes unread() const { return {buffer_.get() + begin_, end_ - begin_}; }
  /// Reads more behind what is unread; false at the end of the stream.
  net::awaitable<Result<bool>> fill(Stream& stream);

  MessageKind kind_;
  std::size_t head_bytes_max_;
  Parser parser_;
  std::unique_ptr<std::byte[]> buffer_;  ///< head_bytes_max_ bytes; null while nothing is expected
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Told when a wait on the peer begins (true) and when it has ended (false), so that the owner can keep a
/// deadline for the peer alone: how long a body takes for its next piece is the body's affair.
using OnPeerWait = std::function<void(bool begins)>;

/// Writes a head and a body behind it: as it is when its length is known, else in chunks. The head leaves
/// together with the body's first piece. Returns the number of body bytes. Errors: those of the stream and of
/// the body; bug when the body is shorter or longer than it said.
net::awaitable<Result<std::uint64_t>> write_message(Stream& stream, std::string head, Body* body,
                                                    bool chunked, const OnPeerWait& on_peer_wait);

/// Appends "name: value\r\n". Line breaks in a value are dropped, so that no value can add a field.
void append_field(std::string& head, std::string_view name, std::string_view value);

}  // namespace postern::http
