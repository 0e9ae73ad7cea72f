#include "cloud/cli/api_client.hpp"

#include <boost/json.hpp>

#include "cloud/cli/json_text.hpp"
#include "shared/cli/table.hpp"
#include "shared/http/answer.hpp"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kPrefix = "/api/management/";
constexpr std::string_view kArtifacts = "v1/deployments/artifacts";
constexpr std::size_t kAnswerBytesMax = 256 << 20;
constexpr std::size_t kErrorCharactersMax = 1000;
/// The most that the API allows (management-api 0.4).
constexpr std::size_t kPerPage = 500;

/// The server's own words where it has any.
std::string error_text(int status, std::string_view body) {
  const auto value = http::parse_json(body);
  const std::string text =
      value ? text_member(*value, "error") : printable(body.substr(0, kErrorCharactersMax));
  return text.empty() ? fmt::format("{} {}", status, http::reason_phrase(status)) : text;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string without_line_ends(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace

Result<ApiClient> ApiClient::make(http::Client& client, const Session& session) {
  if (session.server.empty()) {
    return invalid("no server: give --server URL or set POSTERN_SERVER, and `postern login` remembers it");
  }
  POSTERN_TRY(const http::Url url, http::Url::parse(session.server));
  if (url.target != "/")
    return invalid(fmt::format("server {}: only scheme, host and port are wanted", session.server));
  if (!url.is_secure && !is_loopback(url.endpoint.host)) {
    return invalid(fmt::format("server {}: passwords and tokens go over https only", session.server));
  }
  return ApiClient(client, url.origin(), session.token);
}

Error ApiClient::connection_error(Error error, std::string_view method) const {
  const std::string prefix = fmt::format("{} {}: ", method, server_);
  if (error.what.starts_with(prefix)) error.what.erase(0, prefix.size());
  if (error.kind == Kind::rejected && error.reason == Reason::unauthorized) {
    error.what +=
        "; if a CA of your own signed the server's certificate, name its file with --ca or POSTERN_CA";
  }
  return std::move(error).within(fmt::format("cannot talk to {}", server_));
}

Error ApiClient::refusal(const Reply& reply) const {
  const std::string text = error_text(reply.status, reply.body);
  if (reply.status == 401) {
    return unauthorized(fmt::format("{}: {}; log in with `postern login NAME`", server_, text));
  }
  if (reply.status >= 300 && reply.status < 400) {
    return invalid(fmt::format("{}: the server sends us on to {}; name that with --server", server_,
                               printable(reply.headers.find("Location").value_or("nowhere"))));
  }
  if (reply.status >= 500 || reply.status == 429) {
    const auto request = reply.headers.find("X-MEN-RequestID").value_or("unknown");
    return transient(
        fmt::format("{}: {} (status {}, request {})", server_, text, reply.status, printable(request)));
  }
  const Reason known = http::reason_of(reply.status);
  return rejected(known == Reason::none ? Reason::invalid : known, fmt::format("{}: {}", server_, text));
}

net::awaitable<Result<ApiClient::Reply>> ApiClient::exchange(std::string method, std::string path,
                                                             http::Request request) {
  POSTERN_CO_TRY(const http::Url url, http::Url::parse(fmt::format("{}{}{}", server_, kPrefix, path)));
  request.method = method;
  auto response = co_await client_->send(url, std::move(request));
  if (!response) co_return connection_error(std::move(response).error(), method);
  Reply reply{.status = response->status, .headers = std::move(response->headers), .body = {}};
  if (!response->body) co_return reply;
  auto body = co_await http::read_all(*response->body, kAnswerBytesMax);
  if (!body) co_return connection_error(std::move(body).error(), method);
  reply.body = *std::move(body);
  co_return reply;
}

net::awaitable<Result<ApiClient::Reply>> ApiClient::call(std::string method, std::string path,
                                                         http::Request request) {
  if (token_.empty()) {
    co_return unauthorized(fmt::format("not logged in at {}: log in with `postern login NAME`", server_));
  }
  request.headers.set("Authorization", "Bearer " + token_);
  POSTERN_CO_TRY(auto reply, co_await exchange(std::move(method), std::move(path), std::move(request)));
  if (reply.status < 200 || reply.status >= 300) co_return refusal(reply);
  co_return reply;
}

net::awaitable<Result<ApiClient::Reply>> ApiClient::call(std::string method, std::string path,
                                                         const json::value* body) {
  http::Request request;
  if (body != nullptr) {
    request.headers.set("Content-Type", "application/json");
    request.body = std::make_unique<http::TextBody>(json::serialize(*body));
  }
  co_return co_await call(std::move(method), std::move(path), std::move(request));
}

net::awaitable<Result<std::string>> ApiClient::log_in(std::string name, std::string password) {
  if (name.contains(':')) co_return invalid("a user name has no colon");
  http::Request request;
  const std::string pair = fmt::format("{}:{}", name, password);
  request.headers.set("Authorization", "Basic " + to_base64(as_bytes(pair)));
  POSTERN_CO_TRY(auto reply, co_await exchange("POST", "v1/useradm/auth/login", std::move(request)));
  if (reply.status == 401) {
    co_return unauthorized(fmt::format("{} does not know this name with this password", server_));
  }
  if (reply.status != 200) co_return refusal(reply);
  std::string token = without_line_ends(std::move(reply.body));
  if (token.empty()) co_return corrupt(fmt::format("{}: the answer to the login is empty", server_));
  co_return token;
}

net::awaitable<Status> ApiClient::log_out() {
  POSTERN_CO_CHECK(co_await call("POST", "v1/useradm/auth/logout"));
  co_return Status{};
}

net::awaitable<Result<json::value>> ApiClient::get(std::string path) {
  POSTERN_CO_TRY(const auto reply, co_await call("GET", std::move(path)));
  auto value = http::parse_json(reply.body);
  if (!value) co_return corrupt(fmt::format("{}: the answer is no JSON: {}", server_, value.error().what));
  co_return value;
}

net::awaitable<Result<json::array>> ApiClient::list(std::string path) {
  json::array all;
  const char* separator = path.contains('?') ? "&" : "?";
  for (std::size_t page = 1;; ++page) {
    POSTERN_CO_TRY(json::value items,
                   co_await get(fmt::format("{}{}page={}&per_page={}", path, separator, page, kPerPage)));
    json::array* array = items.if_array();
    if (array == nullptr) co_return corrupt(fmt::format("{}: the answer is no list", server_));
    if (all.size() + array->size() > kItemsMax) {
      co_return rejected(Reason::too_large,
                         fmt::format("{}: the list has more than {} items", server_, kItemsMax));
    }
    const bool is_last = array->size() < kPerPage;
    for (json::value& item : *array) all.push_back(std::move(item));
    if (is_last) co_return all;
  }
}

Result<std::string> ApiClient::created_id(const Reply& reply) const {
  const auto location = reply.headers.find("Location").value_or("");
  std::string id = printable(location.substr(location.rfind('/') + 1));
  if (id.empty()) return corrupt(fmt::format("{}: the answer does not name what was created", server_));
  return id;
}

net::awaitable<Result<std::string>> ApiClient::create(std::string path, json::value body) {
  POSTERN_CO_TRY(const auto reply, co_await call("POST", std::move(path), &body));
  co_return created_id(reply);
}

net::awaitable<Result<std::string>> ApiClient::post(std::string path, json::value body) {
  POSTERN_CO_TRY(auto reply, co_await call("POST", std::move(path), &body));
  co_return std::move(reply.body);
}

net::awaitable<Status> ApiClient::put(std::string path, json::value body) {
  POSTERN_CO_CHECK(co_await call("PUT", std::move(path), &body));
  co_return Status{};
}

net::awaitable<Status> ApiClient::erase(std::string path) {
  POSTERN_CO_CHECK(co_await call("DELETE", std::move(path)));
  co_return Status{};
}

net::awaitable<Result<std::string>> ApiClient::upload(std::string content_type,
                                                      std::unique_ptr<http::Body> body) {
  http::Request request;
  request.headers.set("Content-Type", std::move(content_type));
  request.body = std::move(body);
  POSTERN_CO_TRY(const auto reply, co_await call("POST", std::string(kArtifacts), std::move(request)));
  co_return created_id(reply);
}

}  // namespace postern::cli
