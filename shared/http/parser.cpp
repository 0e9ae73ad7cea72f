#include "shared/http/parser.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "shared/base/check.hpp"

namespace postern::http {
namespace {

namespace beast = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t kChunkExtensionBytesMax = 256;
/// Of all chunks of a message together: nobody needs any.
constexpr std::size_t kChunkExtensionsBytesMax = 16 << 10;
constexpr std::size_t kFieldsMax = 128;
constexpr std::string_view kShortestEnd =
    "0\r\n\r\n";  ///< of a body in chunks: whatever is next is no shorter

/// Finds what Beast forgives: a line feed without carriage return, and a header line that begins with a
/// blank. It looks at bytes before Beast does, which waits for a proper line end where there will be none.
class LineScanner {
 public:
  /// `input` begins with what consumed() has not been told of.
  Status scan(Bytes input) {
    for (; ahead_ < input.size() && !at_end_; ++ahead_) {
      const char c = static_cast<char>(input[ahead_]);
      if (c == '\n' && last_ != '\r') return invalid("bare line feed in the header");
      if (last_ == '\n' && (c == ' ' || c == '\t')) return invalid("folded header line");
      if (c == '\n') {
        at_end_ = line_is_empty_;
        line_is_empty_ = true;
      } else if (c != '\r') {
        line_is_empty_ = false;
      }
      last_ = c;
    }
    return {};
  }
  void consumed(std::size_t count) { ahead_ -= std::min(ahead_, count); }

 private:
  std::size_t ahead_ = 0;  ///< bytes seen that Beast has not consumed yet
  char last_ = '\0';
  bool line_is_empty_ = false;
  bool at_end_ = false;
};

}  // namespace

/// What Parser needs of Beast's parser, whichever direction it reads.
class Parser::Implementation {
 public:
  virtual ~Implementation() = default;
  /// One step: a line of the head, or a piece of the body.
  virtual std::size_t put(Bytes input, error_code& error) = 0;
  virtual void put_eof(error_code& error) = 0;
  virtual bool head_done() const = 0;
  virtual bool done() const = 0;
  /// The line of a chunk is next.
  virtual bool is_between_chunks() const = 0;
  /// Fills what only Beast knows of a complete head.
  virtual void finish_head() = 0;
  virtual Status check_head() const = 0;

  Head head;
  Bytes piece;
  std::string refusal;  ///< why we refused what Beast would have taken
  LineScanner scanner;
  bool head_checked = false;
  bool no_body = false;
};

namespace {

template <bool is_request>
class BeastParser final : public Parser::Implementation, private beast::basic_parser<is_request> {
  using Base = beast::basic_parser<is_request>;
  using string_view = boost::core::string_view;

 public:
  explicit BeastParser(std::size_t head_bytes_max) {
    Base::header_limit(static_cast<std::uint32_t>(head_bytes_max));
    Base::body_limit(boost::none);  // bodies are bounded by whoever reads them
    Base::eager(false);
  }

  std::size_t put(Bytes input, error_code& error) override {
    return Base::put(net::buffer(input.data(), input.size()), error);
  }
  void put_eof(error_code& error) override { Base::put_eof(error); }
  bool head_done() const override { return Base::is_header_done(); }
  bool done() const override { return Base::is_done(); }
  bool is_between_chunks() const override { return Base::chunked() && chunk_left_ == 0; }

  void finish_head() override {
    head.keep_alive = Base::keep_alive();
    head.chunked = Base::chunked();
    if (const auto length = Base::content_length(); length && !head.chunked) head.content_length = *length;
  }

  Status check_head() const override {
    for (const std::string_view coding : head.headers.find_all("Transfer-Encoding")) {
      if (!equal_ignoring_case(coding, "chunked")) return invalid("unsupported transfer coding");
    }
    if (head.chunked && head.headers.find("Content-Length")) {
      return invalid("Content-Length beside Transfer-Encoding");
    }
    if (head.chunked && is_request && version_ < 11) return invalid("Transfer-Encoding in HTTP/1.0");
    if constexpr (is_request) {
      // Equal ones could be merged (RFC 9110 8.6); nobody sends them but who tries what we make of it.
      const auto lengths = head.headers.find_all("Content-Length");
      if (lengths.size() > 1 ||
          (lengths.size() == 1 && lengths.front().find(',') != std::string_view::npos)) {
        return invalid("more than one Content-Length");
      }
      if (head.target.empty() || (head.target.front() != '/' && head.target != "*")) {
        return invalid("request target is not a path");
      }
      const auto hosts = head.headers.find_all("Host");
      if (hosts.empty()) return invalid("no Host field");
      for (const std::string_view host : hosts) {
        if (host != hosts.front()) return invalid("differing Host fields");
      }
    }
    return {};
  }

 private:
  void on_request_impl(beast::verb, string_view method, string_view target, int version,
                       error_code& error) override {
    if (version != 11 && version != 10) {
      refusal = "unsupported HTTP version";
      error = beast::error::bad_version;
    }
    version_ = version;
    head.method.assign(method.data(), method.size());
    head.target.assign(target.data(), target.size());
  }
  void on_response_impl(int status, string_view, int, error_code&) override { head.status = status; }
  void on_field_impl(beast::field, string_view name, string_view value, error_code& error) override {
    if (++fields_ > kFieldsMax) {
      error = beast::error::header_limit;
      return;
    }
    head.headers.add(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override { return take(body); }
  void on_chunk_header_impl(std::uint64_t size, string_view extensions, error_code& error) override {
    chunk_left_ = size;
    extension_bytes_ += extensions.size();
    if (extensions.size() <= kChunkExtensionBytesMax && extension_bytes_ <= kChunkExtensionsBytesMax) return;
    refusal = "chunk extension is too long";
    error = beast::error::bad_chunk_extension;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    chunk_left_ -= body.size();
    return take(body);
  }
  void on_finish_impl(error_code&) override {}

  std::size_t take(string_view body) {
    piece = std::as_bytes(std::span(body.data(), body.size()));
    return body.size();
  }

  int version_ = 11;
  std::size_t fields_ = 0;  ///< of the head and of the trailer
  std::size_t extension_bytes_ = 0;
  std::uint64_t chunk_left_ = 0;  ///< of its payload
};

bool has_bare_line_feed(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    if (at == 0 || text[at - 1] != '\r') return true;
  }
  return false;
}

Error to_error(const error_code& error, const std::string& refusal) {
  if (error == beast::error::header_limit) return rejected(Reason::too_large, "header is too large");
  return invalid(refusal.empty() ? fmt::format("malformed HTTP message: {}", error.message()) : refusal);
}

}  // namespace

Parser::Parser(MessageKind kind, std::size_t head_bytes_max) {
  if (kind == MessageKind::request) {
    implementation_ = std::make_unique<BeastParser<true>>(head_bytes_max);
  } else {
    implementation_ = std::make_unique<BeastParser<false>>(head_bytes_max);
  }
}
Parser::~Parser() = default;
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;

Result<std::size_t> Parser::feed_head(Bytes input) {
  auto& parser = *implementation_;
  POSTERN_CHECK(parser.scanner.scan(input));
  std::size_t total = 0;
  while (!parser.head_done() && total < input.size()) {
    error_code error;
    const std::size_t used = parser.put(input.subspan(total), error);
    if (error && error != beast::error::need_more) return to_error(error, parser.refusal);
    total += used;
    if (used == 0) break;
  }
  parser.scanner.consumed(total);
  if (parser.head_done() && !std::exchange(parser.head_checked, true)) {
    parser.finish_head();
    POSTERN_CHECK(parser.check_head());
  }
  return total;
}

bool Parser::head_done() const {
  return implementation_->head_done();
}
const Head& Parser::head() const {
  return implementation_->head;
}

Head Parser::take_head() {
  return std::move(implementation_->head);
}
void Parser::expect_no_body() {
  implementation_->no_body = true;
}
bool Parser::done() const {
  return implementation_->head_done() && (implementation_->no_body || implementation_->done());
}

Result<Parser::Progress> Parser::feed_body(Bytes input) {
  auto& parser = *implementation_;
  POSTERN_ASSERT(parser.head_done() && !parser.no_body);
  parser.piece = {};
  error_code error;
  // Beast (1.81) asserts that the last chunk, once begun, comes with five bytes at least.
  const bool may_begin_the_last =
      !input.empty() && (input.front() == std::byte{'0'} || input.front() == std::byte{'\r'});
  const bool is_too_short =
      parser.is_between_chunks() && may_begin_the_last && input.size() < kShortestEnd.size();
  const std::size_t used = is_too_short ? 0 : parser.put(input, error);
  if (error && error != beast::error::need_more) return to_error(error, parser.refusal);
  // What waits for more is the line of a chunk or of the trailer. Beast would wait for a proper end of it.
  if (used == 0 && has_bare_line_feed(input)) return invalid("bare line feed between chunks");
  return Progress{used, parser.piece};
}

Status Parser::feed_end() {
  if (done()) return {};
  error_code error;
  implementation_->put_eof(error);
  if (error || !implementation_->done()) {
    return Error{Kind::transient, Reason::closed, "peer closed in the middle of a message"};
  }
  return {};
}

}  // namespace postern::http
