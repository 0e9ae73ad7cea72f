#include "device/server/protocol_server.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "shared/device_api/go_json.hpp"
#include "shared/http/answer.hpp"
#include "shared/io/file.hpp"

namespace postern::device {
namespace {

namespace json = boost::json;

using namespace std::chrono_literals;

constexpr std::string_view kAuthPath = "/api/devices/v1/authentication/auth_requests";
constexpr std::string_view kDeployments = "deployments/device/deployments";
constexpr std::size_t kAnswerBytesMax = 1 << 20;
constexpr std::size_t kTokenBytesMax = 16 << 10;
/// A server may take long to answer, and a link may stand still for a while (device-client 6.2).
constexpr Duration kReadMax = 5min;

json::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

std::string deployment_path(const std::string& id, std::string_view what) {
  return fmt::format("/api/devices/v1/{}/{}/{}", kDeployments, http::percent_encode(id), what);
}

/// Whether it can stand in a header field as it is.
bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kTokenBytesMax &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

/// Ids become parts of URLs and of file names.
bool is_deployment_id(std::string_view id) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  return !id.empty() && id.size() <= 128 && id.find_first_not_of(kAllowed) == std::string_view::npos;
}

/// A member of an object, or null.
const json::value* member(const json::value* value, std::string_view name) {
  return value != nullptr && value->is_object() ? value->get_object().if_contains(view(name)) : nullptr;
}
std::string text_of(const json::value* value) {
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<Deployment> parse_deployment(std::string_view body) {
  const auto value = http::parse_json(body);
  if (!value) return invalid(fmt::format("next deployment: {}", value.error().what));
  const json::value* artifact = member(&*value, "artifact");
  Deployment deployment{.id = text_of(member(&*value, "id")),
                        .artifact_name = text_of(member(artifact, "artifact_name")),
                        .uri = text_of(member(member(artifact, "source"), "uri"))};
  if (!is_deployment_id(deployment.id)) return invalid("next deployment: no usable id");
  if (deployment.uri.empty()) return invalid("next deployment: no artifact.source.uri");
  return deployment;
}

/// The answer to a poll.
Result<std::optional<Deployment>> deployment_of(const Result<Answer>& answer) {
  if (!answer) return answer.error();
  if (answer->status == 204) return std::optional<Deployment>();
  if (answer->status != 200) return error_of("next deployment", *answer);
  POSTERN_TRY(auto deployment, parse_deployment(answer->body));
  return std::optional(std::move(deployment));
}

Status expect(int status, std::string_view what, const Result<Answer>& answer) {
  if (!answer) return answer.error();
  if (answer->status != status) return error_of(what, *answer);
  return {};
}

std::string inventory_body(const Inventory& inventory) {
  json::array attributes;
  for (const auto& [name, values] : inventory) {
    json::value value;
    if (values.size() == 1) {
      value = view(values.front());
    } else {
      json::array several;
      for (const std::string& one : values) several.emplace_back(view(one));
      value = std::move(several);
    }
    attributes.push_back(json::object{{"name", view(name)}, {"value", std::move(value)}});
  }
  return go_json(attributes);
}

Result<http::Url> parse_base(const std::string& text) {
  POSTERN_TRY(http::Url url, http::Url::parse(text));
  if (url.target.contains('?'))
    return invalid(fmt::format("server URL {}: a query has no place in it", text));
  while (url.target.ends_with('/')) url.target.pop_back();
  return url;
}

Result<std::string> read_pem(const std::string& path, std::string_view what) {
  auto text = read_file(path, 1 << 20);
  if (!text) return std::move(text).error().within(what);
  return text;
}

}  // namespace

ProtocolServerOptions server_options(const Settings& settings, std::string version) {
  return {.urls = settings.servers,
          .tenant_token = settings.tenant_token,
          .tier = settings.device_tier,
          .version = std::move(version),
          .download_retries = settings.retry_download_count,
          .download_wait = settings.download_retry};
}

Result<std::shared_ptr<const TlsClientContext>> make_server_tls(const Settings& settings) {
  TlsClientOptions options{.verify = !settings.skip_verify, .trust_system = true};
  if (!settings.server_certificate.empty()) {
    POSTERN_TRY(options.trust_pem, read_pem(settings.server_certificate, "ServerCertificate"));
  }
  if (!settings.client_certificate.empty()) {
    POSTERN_TRY(options.certificate_chain_pem,
                read_pem(settings.client_certificate, "HttpsClient.Certificate"));
    POSTERN_TRY(options.private_key_pem, read_pem(settings.client_key, "HttpsClient.Key"));
  }
  auto context = TlsClientContext::make(options);
  if (!context) {
    return std::move(context).error().within("ServerCertificate and HttpsClient of mender.conf");
  }
  return context;
}

Result<std::unique_ptr<ProtocolServer>> ProtocolServer::make(Parts parts, ProtocolServerOptions options) {
  if (options.urls.empty()) return invalid("no server: ServerURL or Servers is missing in mender.conf");
  std::vector<http::Url> urls;
  for (const std::string& text : options.urls) {
    POSTERN_TRY(auto url, parse_base(text));
    urls.push_back(std::move(url));
  }
  return std::unique_ptr<ProtocolServer>(
      new ProtocolServer(std::move(parts), std::move(options), std::move(urls)));
}

ProtocolServer::ProtocolServer(Parts parts, ProtocolServerOptions options, std::vector<http::Url> urls)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      urls_(std::move(urls)),
      client_(parts_.network, parts_.clock,
              {.tls = parts_.tls, .response_max = kReadMax, .progress_max = kReadMax}) {}

net::awaitable<Result<Answer>> ProtocolServer::send(const http::Url& base, const Call& call,
                                                    http::Headers headers) {
  http::Url url = base;
  url.target += call.path;
  http::Request request;
  request.method = call.method;
  request.may_repeat = true;  // nothing that a device says means more when it is said twice
  request.headers = std::move(headers);
  request.headers.add("User-Agent", "postern-device/" + options_.version);
  request.headers.add("Accept", "application/json");
  if (call.body) {
    request.headers.add("Content-Type", "application/json");
    request.body = std::make_unique<http::TextBody>(*call.body);
  }
  POSTERN_CO_TRY(http::Response response, co_await client_.send(url, std::move(request)));
  Answer answer{response.status, std::move(response.headers), {}};
  if (response.body) {
    auto body = co_await http::read_all(*response.body, kAnswerBytesMax);
    if (!body) co_return std::move(body).error().within(fmt::format("answer of {}", url.origin()));
    answer.body = *std::move(body);
  }
  if (answer.status == 429) {
    const auto field = answer.headers.find("Retry-After");
    if (field) retry_after_ = parse_retry_after(*field, parts_.clock.wall());
  }
  co_return answer;
}

net::awaitable<Status> ProtocolServer::authenticate_at(const http::Url& url, const std::string& body,
                                                       const std::string& signature) {
  const Call call{.method = "POST", .path = std::string(kAuthPath), .body = body};
  POSTERN_CO_TRY(Answer answer,
                 co_await send(url, call, {{"Authorization", "API_KEY"}, {"X-MEN-Signature", signature}}));
  if (answer.status != 200) {
    Error error = error_of(fmt::format("authenticate at {}", url.origin()), answer);
    // As the reference clients read it: both say that the device is not accepted.
    if (answer.status == 403) error.reason = Reason::unauthorized;
    co_return error;
  }
  while (answer.body.ends_with('\n') || answer.body.ends_with('\r')) answer.body.pop_back();
  if (!is_token(answer.body)) co_return invalid(fmt::format("authenticate at {}: no token", url.origin()));
  token_ = std::move(answer.body);
  co_return Status{};
}

net::awaitable<Status> ProtocolServer::authenticate() {
  auto identity = co_await parts_.identity();
  if (!identity) co_return std::move(identity).error().within("identity of the device");
  json::object request{{"id_data", view(*identity)}, {"pubkey", view(parts_.key.public_key().to_pem())}};
  if (!options_.tenant_token.empty()) request["tenant_token"] = view(options_.tenant_token);
  request["tier"] = view(options_.tier);
  const std::string body = json::serialize(request);
  const std::string signature = to_base64(parts_.key.sign(as_bytes(body)));

  std::optional<Error> failure;
  for (std::size_t i = 0; i < urls_.size(); ++i) {
    auto status = co_await authenticate_at(urls_[i], body, signature);
    if (status) {
      server_ = i;
      sent_inventory_.reset();
      parts_.log.info("auth.succeeded", {{"server", urls_[i].origin()}});
      co_return Status{};
    }
    if (status.error().kind == Kind::cancelled) co_return status;
    parts_.log.warn("auth.failed", {{"server", urls_[i].origin()}, {"error", status.error().what}});
    // That a server does not take us tells more than that another cannot be reached.
    if (!failure || failure->reason != Reason::unauthorized) failure = std::move(status).error();
  }
  co_return *std::move(failure);
}

net::awaitable<Status> ProtocolServer::ensure_token() {
  if (!token_.empty()) co_return Status{};
  co_return co_await authenticate();
}

net::awaitable<Result<Answer>> ProtocolServer::call(Call call) {
  retry_after_.reset();
  constexpr int kTriesMax = 2;
  for (int tried = 1;; ++tried) {
    POSTERN_CO_CHECK(co_await ensure_token());
    auto answer = co_await send(urls_[server_], call, {{"Authorization", "Bearer " + token_}});
    const bool is_void = answer && answer->status == 401;
    const bool is_lost = !answer && answer.error().kind != Kind::cancelled && urls_.size() > 1;
    if (is_void || is_lost) token_.clear();
    if ((!is_void && !is_lost) || tried == kTriesMax) co_return answer;
  }
}

net::awaitable<Result<std::optional<Deployment>>> ProtocolServer::next_deployment(
    const std::string& device_type, const Provides& provides) {
  json::object provided;
  for (const auto& [name, value] : provides) provided[view(name)] = view(value);
  provided["device_type"] = view(device_type);
  Call poll{.method = "POST",
            .path = fmt::format("/api/devices/v2/{}/next", kDeployments),
            .body = go_json(json::object{{"device_provides", std::move(provided)}})};
  auto answer = co_await call(std::move(poll));
  if (answer && answer->status == 404) {
    const auto name = provides.find("artifact_name");
    poll = Call{.method = "GET",
                .path = fmt::format("/api/devices/v1/{}/next?artifact_name={}&device_type={}", kDeployments,
                                    http::percent_encode(name == provides.end() ? "" : name->second),
                                    http::percent_encode(device_type)),
                .body = std::nullopt};
    answer = co_await call(std::move(poll));
  }
  co_return deployment_of(answer);
}

net::awaitable<Status> ProtocolServer::report_status(const std::string& deployment_id,
                                                     std::string_view status) {
  const auto answer = co_await call({.method = "PUT",
                                     .path = deployment_path(deployment_id, "status"),
                                     .body = json::serialize(json::object{{"status", view(status)}})});
  co_return expect(204, fmt::format("report status {}", status), answer);
}

net::awaitable<Status> ProtocolServer::upload_log(const std::string& deployment_id, std::string body) {
  const auto answer = co_await call(
      {.method = "PUT", .path = deployment_path(deployment_id, "log"), .body = std::move(body)});
  co_return expect(204, "upload the deployment log", answer);
}

net::awaitable<Status> ProtocolServer::submit_inventory(const Inventory& inventory) {
  std::string body = inventory_body(inventory);
  const Digest digest = sha256(as_bytes(body));
  retry_after_.reset();
  // A new token may come from another server, or from one that has forgotten us.
  POSTERN_CO_CHECK(co_await ensure_token());
  if (sent_inventory_ == digest) co_return Status{};
  const auto answer = co_await call(
      {.method = "PUT", .path = "/api/devices/v1/inventory/device/attributes", .body = std::move(body)});
  POSTERN_CO_CHECK(expect(200, "submit the inventory", answer));
  sent_inventory_ = digest;
  co_return Status{};
}

net::awaitable<Result<std::unique_ptr<http::Body>>> ProtocolServer::download(const std::string& uri) {
  auto url = http::Url::parse(uri);
  if (!url) co_return std::move(url).error().within("download");
  co_return co_await open_download(client_, parts_.clock, parts_.log, *std::move(url),
                                   {.retries = options_.download_retries,
                                    .wait = options_.download_wait,
                                    .user_agent = "postern-device/" + options_.version});
}

}  // namespace postern::device
