#include "cloud/cli/api_client.hpp"

#include <boost/json.hpp>

#include "shared/http/answer.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kAnswerBytesMax = 256 << 20;
constexpr std::size_t kErrorBytesMax = 64 << 10;
/// Bounds the walk through a list, whatever the server says.
constexpr std::size_t kPagesMax = 100'000;

Reason reason_of(int status) {
  switch (status) {
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
    case 422:
      return Reason::unprocessable;
    default:
      return Reason::invalid;
  }
}

/// The server's own words, where it has any.
std::string error_text(std::string_view body) {
  const auto value = http::parse_json(body);
  if (value && value->is_object()) {
    const auto text = http::string_member(value->get_object(), "error");
    if (text && !text->empty()) return *text;
  }
  return std::string(body.substr(0, 200));
}

Result<std::string> created_id(const http::Response& response) {
  const auto location = response.headers.find("Location");
  if (!location) return corrupt("the server's answer names nothing that was created");
  return std::string(location->substr(location->rfind('/') + 1));
}

}  // namespace

Result<ApiClient> ApiClient::make(http::Client& client, const Session& session) {
  if (session.server.empty()) {
    return invalid("no server: give --server URL or set POSTERN_SERVER, or log in with `postern login`");
  }
  if (auto url = http::Url::parse(session.server); !url) return std::move(url).error().within("--server");
  return ApiClient(client, session.server, session.token);
}

net::awaitable<Result<http::Response>> ApiClient::exchange(http::Request request, const std::string& path) {
  POSTERN_CO_TRY(const http::Url url, http::Url::parse(fmt::format("{}/api/management/{}", server_, path)));
  auto response = co_await client_->send(url, std::move(request));
  if (response) co_return *std::move(response);
  Error error = std::move(response).error();
  if (error.what.contains("certificate")) error.what += "; name the server's CA with --ca FILE";
  co_return error;
}

net::awaitable<Result<http::Response>> ApiClient::check(http::Response response, const std::string& what) {
  if (response.status >= 200 && response.status < 300) co_return response;
  std::string body;
  if (response.body) {
    if (auto text = co_await http::read_all(*response.body, kErrorBytesMax)) body = *std::move(text);
  }
  std::string text = fmt::format("{}: {} {}", what, response.status, error_text(body));
  if (response.status == 401) text += "; log in with `postern login`";
  if (response.status >= 500) co_return transient(std::move(text));
  co_return rejected(reason_of(response.status), std::move(text));
}

net::awaitable<Result<std::string>> ApiClient::log_in(const std::string& name, const std::string& password) {
  http::Request request;
  request.method = "POST";
  const std::string pair = fmt::format("{}:{}", name, password);
  request.headers.set("Authorization", "Basic " + to_base64(as_bytes(pair)));
  request.body = std::make_unique<http::TextBody>("");
  POSTERN_CO_TRY(auto response, co_await exchange(std::move(request), "v1/useradm/auth/login"));
  if (response.status == 401) {
    co_return unauthorized(fmt::format("{} does not know this name and password", server_));
  }
  POSTERN_CO_TRY(response, co_await check(std::move(response), "login"));
  co_return co_await http::read_all(*response.body, kErrorBytesMax);
}

net::awaitable<Result<http::Response>> ApiClient::send(std::string method, std::string path,
                                                       const json::value* body) {
  if (token_.empty())
    co_return unauthorized(fmt::format("not logged in at {}; log in with `postern login`", server_));
  http::Request request;
  request.method = method;
  request.headers.set("Authorization", "Bearer " + token_);
  request.body = std::make_unique<http::TextBody>(body == nullptr ? std::string() : json::serialize(*body));
  if (body != nullptr) request.headers.set("Content-Type", "application/json");
  POSTERN_CO_TRY(auto response, co_await exchange(std::move(request), path));
  co_return co_await check(std::move(response), fmt::format("{} {}", method, path.substr(0, path.find('?'))));
}

net::awaitable<Result<json::value>> ApiClient::get(std::string path) {
  POSTERN_CO_TRY(auto response, co_await send("GET", std::move(path), nullptr));
  POSTERN_CO_TRY(const std::string text, co_await http::read_all(*response.body, kAnswerBytesMax));
  co_return http::parse_json(text);
}

net::awaitable<Result<std::string>> ApiClient::create(std::string path, const json::value& body) {
  POSTERN_CO_TRY(const auto response, co_await send("POST", std::move(path), &body));
  co_return created_id(response);
}

net::awaitable<Result<std::string>> ApiClient::upload(std::string content_type,
                                                      std::unique_ptr<http::Body> body) {
  if (token_.empty())
    co_return unauthorized(fmt::format("not logged in at {}; log in with `postern login`", server_));
  http::Request request;
  request.method = "POST";
  request.headers.set("Authorization", "Bearer " + token_);
  request.headers.set("Content-Type", std::move(content_type));
  request.body = std::move(body);
  POSTERN_CO_TRY(auto response, co_await exchange(std::move(request), "v1/deployments/artifacts"));
  POSTERN_CO_TRY(response, co_await check(std::move(response), "upload"));
  co_return created_id(response);
}

net::awaitable<Result<json::array>> ApiClient::list(std::string path, std::size_t per_page) {
  json::array all;
  const char* separator = path.contains('?') ? "&" : "?";
  for (std::size_t page = 1; page <= kPagesMax; ++page) {
    POSTERN_CO_TRY(const json::value items,
                   co_await get(fmt::format("{}{}page={}&per_page={}", path, separator, page, per_page)));
    if (!items.is_array()) co_return corrupt(fmt::format("{}: the answer is no list", path));
    for (const json::value& item : items.get_array()) all.push_back(item);
    if (items.get_array().size() < per_page) break;
  }
  co_return all;
}

}  // namespace postern::cli
