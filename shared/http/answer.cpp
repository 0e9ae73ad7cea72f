#include "shared/http/answer.hpp"

#include <boost/json.hpp>

namespace postern::http {

namespace json = boost::json;

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

net::awaitable<Result<json::value>> read_json(Request& request, std::size_t size_max) {
  POSTERN_CO_TRY(const std::string text, co_await read_all(*request.body, size_max));
  if (const auto type = request.headers.find("Content-Type"); type && !text.empty()) {
    const std::string_view media = type->substr(0, type->find(';'));
    const auto end = media.find_last_not_of(' ');
    if (!equal_ignoring_case(media.substr(0, end == std::string_view::npos ? 0 : end + 1),
                             "application/json")) {
      co_return rejected(Reason::unsupported, "Bad Content-Type, expected 'application/json'");
    }
  }
  auto value = parse_json(text);
  if (!value) co_return std::move(value).error().within("failed to decode request body");
  co_return value;
}

}  // namespace postern::http
