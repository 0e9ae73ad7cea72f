// HTTP messages as plain values, and bodies as streams. Beast stays behind parser.cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "shared/base/bytes.hpp"
#include "shared/transport/stream.hpp"

namespace postern {
class Certificate;
}

namespace postern::http {

namespace net = boost::asio;

/// Header fields in their order; names compare without letter case.
class Headers {
 public:
  struct Field {
    std::string name;
    std::string value;
  };

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  /// The first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  std::vector<std::string_view> find_all(std::string_view name) const;
  void add(std::string name, std::string value) {
    if (fields_.empty()) fields_.reserve(kUsualFields);
    fields_.push_back({std::move(name), std::move(value)});
  }
  /// Replaces every field of that name.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  static constexpr std::size_t kUsualFields = 8;
  std::vector<Field> fields_;
};

bool equal_ignoring_case(std::string_view a, std::string_view b);

/// A body that is pulled piece by piece, whichever way it travels; so the body of a request can be handed on
/// as the body of a response, and whoever pulls slowly slows the sender.
///
/// A body that lies in memory may lend its pieces instead (Lender): next() goes on behind what was lent.
class Body : public Lender {
 public:
  /// Size in bytes when known beforehand; else the body travels in chunks.
  virtual std::optional<std::uint64_t> length() const = 0;
  /// The next piece, valid until the next call; an empty one is the end.
  virtual net::awaitable<Result<Bytes>> next() = 0;
  /// Starts again from the first piece; false when that is not possible.
  virtual bool rewind() { return false; }
};

/// A body that is a text.
class TextBody final : public Body {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}
  std::optional<std::uint64_t> length() const override { return text_.size(); }
  net::awaitable<Result<Bytes>> next() override;
  bool rewind() override {
    given_ = false;
    return true;
  }

 private:
  std::string text_;
  bool given_ = false;
};

/// Collects a body. Errors: too_large beyond `size_max`; those of the body.
net::awaitable<Result<std::string>> read_all(Body& body, std::size_t size_max);

struct Request {
  std::string method;
  std::string target;  ///< as on the wire: path and query
  Headers headers;
  std::unique_ptr<Body> body;  ///< never null on the server side
  /// For a client: it does no harm when the request arrives twice, whatever its method says.
  bool may_repeat = false;

  // Filled by the server.
  std::string path;                          ///< target up to the question mark, not decoded
  std::string query;                         ///< what follows it, not decoded
  std::string peer;                          ///< address of the client
  const Certificate* certificate = nullptr;  ///< of the client, checked by the listener; null: none
  std::string id;                            ///< X-MEN-RequestID: the client's own or a fresh one
  std::vector<std::pair<std::string, std::string>> parameters;  ///< of the route's pattern, decoded

  /// A parameter of the route's pattern. Asking for one that the pattern does not have is a bug.
  const std::string& parameter(std::string_view name) const;
};

/// Whether sending a request a second time does no harm: its method is idempotent (RFC 9110 9.2.2), or its
/// sender has said so.
bool is_repeatable(const Request& request);

struct Response {
  int status = 200;
  Headers headers;
  std::unique_ptr<Body> body;  ///< null: none
  /// Close the connection instead of answering. Some clients survive that and no status at all
  /// (decision 3: a ranged GET is answered with 206 or not at all).
  bool hang_up = false;
  /// What the connection goes on as when the status is 101. It is given the connection and what the client
  /// has already sent behind its request; when it ends, the connection is closed. Deadlines are its own
  /// affair; at the server's end the stream is closed under it.
  std::move_only_function<net::awaitable<void>(Stream& stream, Bytes early)> tunnel;

  static Response text(int status, std::string content_type, std::string text);
  static Response empty(int status) { return {.status = status, .headers = {}, .body = nullptr}; }
  static Response close_connection() {
    return {.status = 0, .headers = {}, .body = nullptr, .hang_up = true};
  }
};

std::string_view reason_phrase(int status);

}  // namespace postern::http
