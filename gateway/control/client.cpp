#include "gateway/control/client.hpp"

#include <boost/json.hpp>

#include "shared/async/run.hpp"
#include "shared/http/answer.hpp"

namespace postern::gateway {
namespace {

namespace json = boost::json;

constexpr std::size_t kAnswerBytesMax = 64 << 20;
/// Reading all of a large cache takes its time.
constexpr Duration kAnswerMax = std::chrono::hours(12);

/// Whether somebody answers there. The connection ends with its loop.
Status try_socket(const std::string& path, Log& log) {
  net::io_context context(1);
  UnixNetwork network(path, log);
  POSTERN_TRY(const auto stream, run(context, network.connect({})));
  return {};
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::connect(std::vector<std::string> sockets, Clock& clock,
                                                              Log& log) {
  std::optional<Error> refusal;
  for (const std::string& path : sockets) {
    const Status tried = try_socket(path, log);
    if (tried) return std::unique_ptr<ControlClient>(new ControlClient(path, clock, log));
    if (tried.error().reason == Reason::forbidden || tried.error().reason == Reason::invalid) {
      refusal = tried.error();
    }
  }
  if (refusal && refusal->reason == Reason::forbidden) {
    return rejected(
        Reason::forbidden,
        fmt::format("{}: only the superuser and the gateway's own user may ask it", refusal->what));
  }
  if (refusal) return *std::move(refusal);
  return not_found(fmt::format(
      "no gateway answers at {}: it does not run, or another configuration (--config) or socket (--socket) "
      "is meant",
      joined(sockets)));
}

ControlClient::ControlClient(const std::string& socket, Clock& clock, Log& log)
    : clock_(clock),
      network_(socket, log),
      client_(network_, clock, http::ClientOptions{.response_max = kAnswerMax, .progress_max = kAnswerMax}) {}

net::awaitable<Result<json::value>> ControlClient::exchange(std::string method, std::string path,
                                                            const json::value* body) {
  http::Request request;
  request.method = std::move(method);
  if (body != nullptr) {
    request.headers.set("Content-Type", "application/json");
    request.body = std::make_unique<http::TextBody>(json::serialize(*body));
  }
  http::Url url;
  url.is_secure = false;
  url.endpoint = {.host = "localhost", .port = 80};
  url.target = std::move(path);
  POSTERN_CO_TRY(auto response, co_await client_.send(url, std::move(request)));
  POSTERN_CO_TRY(const std::string text, co_await http::read_all(*response.body, kAnswerBytesMax));
  if (response.status == 204) co_return json::value();
  POSTERN_CO_TRY(json::value value, http::parse_json(text));
  if (response.status < 300) co_return value;
  const json::object* object = value.if_object();
  std::string why = fmt::format("the gateway answers {}", response.status);
  if (object != nullptr) {
    POSTERN_CO_TRY(why, http::string_member(*object, "error"));
  }
  co_return rejected(http::reason_of(response.status), std::move(why));
}

Result<json::value> ControlClient::ask(std::string method, std::string path, const json::value* body) {
  context_.restart();
  return run(context_, exchange(std::move(method), std::move(path), body));
}

void ControlClient::wait(Duration duration) {
  context_.restart();
  (void)run(context_, clock_.sleep(duration));  // nobody cancels it
}

}  // namespace postern::gateway
