#include "shared/http/connection.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "shared/base/cancellation.hpp"

namespace postern::http {

MessageReader::MessageReader(MessageKind kind, std::size_t head_bytes_max)
    : kind_(kind), head_bytes_max_(head_bytes_max), parser_(kind, head_bytes_max) {}

net::awaitable<Result<bool>> MessageReader::fill(Stream& stream) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (!buffer_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(head_bytes_max_);
  if (end_ == head_bytes_max_) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (end_ == head_bytes_max_) co_return rejected(Reason::too_large, "header is too large");
  }
  POSTERN_CO_TRY(const std::size_t count,
                 co_await stream.read_some(MutableBytes(buffer_.get() + end_, head_bytes_max_ - end_)));
  end_ += count;
  co_return count > 0;
}

net::awaitable<Result<bool>> MessageReader::wait(Stream& stream) {
  if (!is_drained()) co_return true;
  release();
  POSTERN_CO_CHECK(co_await stream.readable());
  co_return co_await fill(stream);
}

net::awaitable<Result<Head>> MessageReader::read_head(Stream& stream) {
  parser_ = Parser(kind_, head_bytes_max_);
  for (;;) {
    POSTERN_CO_TRY(const std::size_t used, parser_.feed_head(unread()));
    begin_ += used;
    if (parser_.head_done()) co_return parser_.take_head();
    POSTERN_CO_TRY(const bool more, co_await fill(stream));
    if (!more) co_return Error{Kind::transient, Reason::closed, "peer closed in the middle of a header"};
  }
}

net::awaitable<Result<Bytes>> MessageReader::read_body(Stream& stream) {
  for (;;) {
    if (parser_.done()) co_return Bytes{};
    POSTERN_CO_TRY(const Parser::Progress progress, parser_.feed_body(unread()));
    begin_ += progress.used;
    if (!progress.piece.empty()) co_return progress.piece;
    if (progress.used > 0 || parser_.done()) continue;
    POSTERN_CO_TRY(const bool more, co_await fill(stream));
    if (!more) {
      POSTERN_CO_CHECK(parser_.feed_end());
      co_return Bytes{};
    }
  }
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  constexpr std::string_view kBreaks("\r\n\0", 3);
  head.append(name).append(": ");
  if (value.find_first_of(kBreaks) == std::string_view::npos) {
    head.append(value);
  } else {
    std::ranges::copy_if(value, std::back_inserter(head),
                         [&](char c) { return kBreaks.find(c) == std::string_view::npos; });
  }
  head.append("\r\n");
}

namespace {

/// Head and first piece, or one piece, with the chunk framing around it where the body is chunked.
net::awaitable<Status> write_piece(Stream& stream, std::string_view head, Bytes piece, bool chunked) {
  if (!chunked) {
    const std::array pieces{as_bytes(head), piece};
    co_return co_await stream.write(pieces);
  }
  // An empty piece is the end, which as a chunk is "0" and an empty trailer.
  const std::string size = fmt::format("{:x}\r\n", piece.size());
  const std::array pieces{as_bytes(head), as_bytes(size), piece, as_bytes("\r\n")};
  co_return co_await stream.write(pieces);
}

/// Lets others have their turn: a connection that takes everything at once would never wait.
class Turns {
 public:
  explicit Turns(net::any_io_executor executor) : executor_(std::move(executor)) {}
  net::awaitable<Status> take(std::size_t bytes) {
    used_ += bytes;
    if (used_ < kTurnBytes) co_return Status{};
    used_ = 0;
    co_await net::post(executor_, net::use_awaitable);
    if (co_await was_cancelled()) co_return cancelled("write a body");
    co_return Status{};
  }

 private:
  static constexpr std::size_t kTurnBytes = 512 << 10;
  net::any_io_executor executor_;
  std::size_t used_ = 0;
};

}  // namespace

net::awaitable<Result<std::uint64_t>> write_message(Stream& stream, std::string head, Body* body,
                                                    bool chunked, const OnPeerWait& on_peer_wait) {
  if (body == nullptr) {
    on_peer_wait(true);
    POSTERN_CO_CHECK(co_await stream.write_bytes(as_bytes(head)));
    on_peer_wait(false);
    co_return std::uint64_t{0};
  }
  std::uint64_t total = 0;
  Turns turns(stream.executor());
  for (;;) {
    if (!chunked) {
      on_peer_wait(true);
      POSTERN_CO_TRY(const std::size_t lent, co_await stream.write_lent(as_bytes(head), *body));
      on_peer_wait(false);
      total += lent;
      if (lent > 0) {
        head.clear();
        POSTERN_CO_CHECK(co_await turns.take(lent));
        continue;
      }
    }
    POSTERN_CO_TRY(const Bytes piece, co_await body->next());
    total += piece.size();
    if (!chunked && total > *body->length()) co_return bug("body is longer than it said");
    if (!piece.empty() || chunked || !head.empty()) {
      on_peer_wait(true);
      POSTERN_CO_CHECK(co_await write_piece(stream, head, piece, chunked));
      on_peer_wait(false);
    }
    head.clear();
    if (piece.empty()) break;
  }
  if (!chunked && total != *body->length()) co_return bug("body is shorter than it said");
  co_return total;
}

}  // namespace postern::http
