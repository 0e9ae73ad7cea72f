#include "shared/http/message.hpp"

#include "shared/base/check.hpp"

namespace postern::http {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (equal_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Headers::find_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Field& field : fields_) {
    if (equal_ignoring_case(field.name, name)) values.push_back(field.value);
  }
  return values;
}

void Headers::set(std::string_view name, std::string value) {
  remove(name);
  add(std::string(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const Field& field) { return equal_ignoring_case(field.name, name); });
}

net::awaitable<Result<Bytes>> TextBody::next() {
  if (std::exchange(given_, true)) co_return Bytes{};
  co_return as_bytes(text_);
}

net::awaitable<Result<std::string>> read_all(Body& body, std::size_t size_max) {
  const auto too_large = [&] {
    return rejected(Reason::too_large, fmt::format("body is larger than {} bytes", size_max));
  };
  if (body.length().value_or(0) > size_max) co_return too_large();
  std::string text;
  for (;;) {
    POSTERN_CO_TRY(const Bytes piece, co_await body.next());
    if (piece.empty()) co_return text;
    if (text.size() + piece.size() > size_max) co_return too_large();
    text += as_text(piece);
  }
}

bool is_repeatable(const Request& request) {
  constexpr std::array<std::string_view, 6> kIdempotent{"GET", "PUT", "HEAD", "DELETE", "OPTIONS", "TRACE"};
  return request.may_repeat || std::ranges::find(kIdempotent, request.method) != kIdempotent.end();
}

const std::string& Request::parameter(std::string_view name) const {
  const auto found = std::ranges::find(parameters, name, &std::pair<std::string, std::string>::first);
  POSTERN_ASSERT(found != parameters.end());
  return found->second;
}

Response Response::text(int status, std::string content_type, std::string text) {
  return {.status = status,
          .headers = {{"Content-Type", std::move(content_type)}},
          .body = std::make_unique<TextBody>(std::move(text))};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

}  // namespace postern::http
