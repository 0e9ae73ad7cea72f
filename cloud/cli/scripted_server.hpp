// A server that answers what the test says, and the commands' context over it.
#pragma once

#include <deque>

#include <boost/json.hpp>

#include "cloud/cli/commands.hpp"
#include "shared/http/answer.hpp"
#include "shared/http/server.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern::cli {

class ScriptedServerTest : public ::testing::Test {
 protected:
  ScriptedServerTest() { POSTERN_ASSERT(server_.listen({"localhost", 80}).has_value()); }
  ~ScriptedServerTest() override {
    client_.reset();
    EXPECT_TRUE(loop_.run(server_.stop(std::chrono::seconds(1))));
  }

  /// The next answer; requests without one get 404.
  void will_answer(int status, boost::json::value body, http::Headers headers = {}) {
    answers_.push_back({status, std::move(body), std::move(headers)});
  }
  /// The text of a command, or its error.
  std::string run(Text command) {
    const auto text = loop_.run(std::move(command));
    return text ? *text : "error: " + text.error().what;
  }
  Report run_report(ReportOrError command) {
    auto report = loop_.run(std::move(command));
    return report ? *std::move(report) : Report{.text = {}, .failures = {"error: " + report.error().what}};
  }

  struct Answer {
    int status;
    boost::json::value body;
    http::Headers headers;
  };
  net::awaitable<http::Response> answer(http::Request& request) {
    requests_.push_back(fmt::format("{} {}", request.method, request.target));
    authorizations_.emplace_back(request.headers.find("Authorization").value_or(""));
    auto body = co_await http::read_all(*request.body, 64 << 20);
    bodies_.push_back(body.value_or("unreadable"));
    if (answers_.empty()) co_return http::error_answer(404, "not found", request);
    Answer next = std::move(answers_.front());
    answers_.pop_front();
    (void)co_await loop_.clock().sleep(answers_take_);
    auto response = http::json_answer(next.status, next.body);
    if (next.body.is_null()) response = http::Response::empty(next.status);
    for (const auto& [name, value] : next.headers) response.headers.set(name, value);
    co_return response;
  }

  testing::Loop loop_;
  testing::MemoryNetwork network_{loop_.executor()};
  testing::MemoryLog log_;
  testing::SeededRandom random_{1};
  std::deque<Answer> answers_;
  Duration answers_take_{0};
  std::vector<std::string> requests_;
  std::vector<std::string> authorizations_;
  std::vector<std::string> bodies_;
  std::string screen_;
  http::Server server_{
      network_, loop_.clock(),      random_,
      log_,     {loop_.executor()}, [this](http::Request& request) { return answer(request); },
      {}};
  std::unique_ptr<http::Client> client_ =
      std::make_unique<http::Client>(network_, loop_.clock(), http::ClientOptions{});
  ApiClient api_ = *ApiClient::make(*client_, {.server = "http://localhost", .ca = {}, .token = "t"});
  Pool pool_{0};
  Context context_{.api = api_,
                   .clock = loop_.clock(),
                   .random = random_,
                   .pool = pool_,
                   .screen = {.write = [this](std::string_view text) { screen_ += text; }}};
};

}  // namespace postern::cli
