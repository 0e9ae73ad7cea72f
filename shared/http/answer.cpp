#include "shared/http/answer.hpp"

#include <boost/json.hpp>

namespace postern::http {

namespace json = boost::json;

namespace {

/// A token of RFC 9110 5.6.2.
bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kMarks.contains(c);
  });
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

/// Whether `text` is a list of parameters, each behind a semicolon (RFC 9110 8.3.1). An empty one is fine.
bool is_parameter_list(std::string_view text) {
  while (!text.empty()) {
    text = trimmed(text.substr(1));
    const auto equals = text.find('=');
    if (text.empty() || text.starts_with(';')) continue;
    if (equals == std::string_view::npos || !is_token(trimmed(text.substr(0, equals)))) return false;
    text = text.substr(equals + 1);
    if (text.starts_with('"')) {
      std::size_t end = 1;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      if (end >= text.size()) return false;
      text = trimmed(text.substr(end + 1));
      if (!text.empty() && !text.starts_with(';')) return false;
    } else {
      const auto end = std::min(text.find(';'), text.size());
      if (!is_token(trimmed(text.substr(0, end)))) return false;
      text = text.substr(end);
    }
  }
  return true;
}

/// A request that does not name its body's type is trusted to bring JSON.
Status check_json_type(const Request& request) {
  const auto field = request.headers.find("Content-Type");
  if (!field) return {};
  const auto semicolon = std::min(field->find(';'), field->size());
  const std::string_view media = trimmed(field->substr(0, semicolon));
  const auto slash = media.find('/');
  const bool is_media = slash == std::string_view::npos
                            ? is_token(media)
                            : is_token(media.substr(0, slash)) && is_token(media.substr(slash + 1));
  const auto refuse = [](std::string_view why) {
    return invalid(fmt::format("Invalid value for Content-Type header: mime: {}", why));
  };
  if (media.empty()) return refuse("no media type");
  if (!is_media) return refuse("expected a media type");
  if (!is_parameter_list(field->substr(semicolon))) return refuse("invalid media parameter");
  if (equal_ignoring_case(media, "application/json")) return {};
  return rejected(Reason::unsupported, "Bad Content-Type, expected 'application/json'");
}

}  // namespace

Reason reason_of(int status) {
  switch (status) {
    case 400:
      return Reason::invalid;
    case 401:
      return Reason::unauthorized;
    case 403:
      return Reason::forbidden;
    case 404:
      return Reason::not_found;
    case 409:
      return Reason::conflict;
    case 413:
      return Reason::too_large;
    case 415:
      return Reason::unsupported;
    case 422:
      return Reason::unprocessable;
    default:
      return Reason::none;
  }
}

Response json_answer(int status, const json::value& value) {
  return Response::text(status, "application/json", json::serialize(value));
}

Response error_answer(int status, std::string_view text, const Request& request) {
  const json::value body{{"error", text}, {"request_id", request.id}};
  return Response::text(status, "application/json; charset=utf-8", json::serialize(body));
}

int status_of(const Error& error) {
  switch (error.kind) {
    case Kind::transient:
      return 503;
    case Kind::exhausted:
      return 507;
    case Kind::corrupt:
    case Kind::cancelled:
    case Kind::bug:
      return 500;
    case Kind::rejected:
      break;
  }
  switch (error.reason) {
    case Reason::unauthorized:
      return 401;
    case Reason::forbidden:
      return 403;
    case Reason::not_found:
      return 404;
    case Reason::conflict:
      return 409;
    case Reason::too_large:
      return 413;
    case Reason::unsupported:
      return 415;
    case Reason::unprocessable:
      return 422;
    default:
      return 400;
  }
}

Response error_answer(const Error& error, const Request& request) {
  const int status = status_of(error);
  switch (status) {
    case 500:
      return error_answer(status, "internal error", request);
    case 503:
      return error_answer(status, "service unavailable", request);
    default:
      return error_answer(status, error.what, request);
  }
}

Result<json::value> parse_json(std::string_view text) {
  json::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return invalid(error.message());
  return value;
}

Result<std::string> string_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return invalid(fmt::format("{} is not a string", name));
  return std::string(value->get_string());
}

net::awaitable<Result<std::string>> read_body(Request& request, std::size_t size_max) {
  auto text = co_await read_all(*request.body, size_max);
  if (!text && text.error().reason == Reason::too_large) text.error().what = "http: request body too large";
  co_return text;
}

net::awaitable<Result<json::value>> read_json(Request& request, std::size_t size_max) {
  POSTERN_CO_TRY(const std::string text, co_await read_body(request, size_max));
  if (!text.empty()) POSTERN_CO_CHECK(check_json_type(request));
  auto value = parse_json(text);
  if (!value) co_return std::move(value).error().within("failed to decode request body");
  co_return value;
}

}  // namespace postern::http
