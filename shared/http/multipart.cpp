#include "shared/http/multipart.hpp"

namespace postern::http {
namespace {

constexpr std::size_t kPartHeadBytesMax = 8 << 10;
constexpr std::size_t kBoundaryCharactersMax = 70;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// The value of `; name=value` or `; name="value"` in a header field.
std::optional<std::string> parameter_of(std::string_view field, std::string_view wanted) {
  auto rest = field;
  for (auto semicolon = rest.find(';'); semicolon != std::string_view::npos; semicolon = rest.find(';')) {
    rest.remove_prefix(semicolon + 1);
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view name = trim(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    std::string value;
    if (rest.starts_with('"')) {
      std::size_t i = 1;
      for (; i < rest.size() && rest[i] != '"'; ++i) {
        if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
        value.push_back(rest[i]);
      }
      rest.remove_prefix(std::min(i + 1, rest.size()));
    } else {
      value = trim(rest.substr(0, rest.find(';')));
    }
    if (equal_ignoring_case(name, wanted)) return value;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> MultipartReader::boundary_of(std::string_view content_type) {
  const std::string_view media = trim(content_type.substr(0, content_type.find(';')));
  if (!equal_ignoring_case(media, "multipart/form-data") && !equal_ignoring_case(media, "multipart/mixed")) {
    return rejected(Reason::unsupported, "Bad Content-Type, expected 'multipart/form-data'");
  }
  auto boundary = parameter_of(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > kBoundaryCharactersMax) {
    return invalid("Invalid value for Content-Type header: no usable boundary");
  }
  return *std::move(boundary);
}

MultipartReader::MultipartReader(Body& source, std::string boundary)
    // The very first delimiter may stand at the start of the body, without a line break before it.
    : source_(source), delimiter_("\r\n--" + std::move(boundary)), buffer_("\r\n") {}

net::awaitable<Result<bool>> MultipartReader::fill() {
  buffer_.erase(0, std::exchange(consumed_, 0));
  POSTERN_CO_TRY(const Bytes piece, co_await source_.next());
  buffer_ += as_text(piece);
  co_return !piece.empty();
}

net::awaitable<Result<Bytes>> MultipartReader::read() {
  if (state_ != State::part && state_ != State::preamble) co_return Bytes{};
  for (;;) {
    buffer_.erase(0, std::exchange(consumed_, 0));
    const auto found = buffer_.find(delimiter_);
    // Without a delimiter in sight, its beginning may still be the end of what we have.
    const std::size_t safe =
        found != std::string::npos ? found : buffer_.size() - std::min(buffer_.size(), delimiter_.size() - 1);
    if (safe > 0) {
      consumed_ = safe;
      co_return as_bytes(std::string_view(buffer_).substr(0, safe));
    }
    if (found == 0) {
      consumed_ = delimiter_.size();
      state_ = State::between;
      co_return Bytes{};
    }
    POSTERN_CO_TRY(const bool more, co_await fill());
    if (!more) co_return invalid("unexpected EOF");
  }
}

net::awaitable<Result<bool>> MultipartReader::next_part() {
  while (state_ == State::part || state_ == State::preamble) {
    POSTERN_CO_TRY(const Bytes skipped, co_await read());
    if (skipped.empty()) break;
  }
  if (state_ == State::end) co_return false;
  for (;;) {
    buffer_.erase(0, std::exchange(consumed_, 0));
    if (buffer_.starts_with("--")) {
      state_ = State::end;
      co_return false;
    }
    // The delimiter's own line ends first, so a part without any header is an empty line right behind it.
    const auto line_end = buffer_.find("\r\n");
    const auto head_end = line_end == std::string::npos ? line_end : buffer_.find("\r\n\r\n", line_end);
    if (head_end != std::string::npos) {
      if (!trim(std::string_view(buffer_).substr(0, line_end)).empty())
        co_return invalid("malformed multipart delimiter");
      const std::string head = buffer_.substr(line_end, head_end + 2 - line_end);
      // The line break before the body is kept, so that a delimiter right behind it is found.
      consumed_ = head_end + 4;
      POSTERN_CO_CHECK(parse_part_head(head));
      state_ = State::part;
      break;
    }
    if (buffer_.size() > kPartHeadBytesMax)
      co_return rejected(Reason::too_large, "multipart header is too large");
    POSTERN_CO_TRY(const bool more, co_await fill());
    if (!more) co_return invalid("unexpected EOF");
  }
  // An empty part: its delimiter begins with the line break that ended its head.
  buffer_.erase(0, std::exchange(consumed_, 0));
  while (buffer_.size() < delimiter_.size() - 2) {
    POSTERN_CO_TRY(const bool more, co_await fill());
    if (!more) co_return invalid("unexpected EOF");
  }
  if (std::string_view(buffer_).starts_with(std::string_view(delimiter_).substr(2)))
    buffer_.insert(0, "\r\n");
  co_return true;
}

Status MultipartReader::parse_part_head(std::string_view head) {
  headers_ = {};
  name_.clear();
  while (!head.empty()) {
    const auto end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    if (line.empty()) continue;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return invalid("malformed multipart header");
    headers_.add(std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
  }
  if (const auto disposition = headers_.find("Content-Disposition")) {
    name_ = parameter_of(*disposition, "name").value_or("");
  }
  return {};
}

net::awaitable<Result<std::string>> MultipartReader::read_text(std::size_t size_max) {
  std::string text;
  for (;;) {
    POSTERN_CO_TRY(const Bytes piece, co_await read());
    if (piece.empty()) co_return text;
    text += as_text(piece);
    if (text.size() > size_max) {
      co_return rejected(Reason::too_large,
                         fmt::format("part \"{}\" is larger than {} bytes", name_, size_max));
    }
  }
}

}  // namespace postern::http
