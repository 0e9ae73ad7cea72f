// Servers on the in-memory network that answer as a test tells them to.
#pragma once

#include "shared/http/server.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern::device {

/// A request as it arrived.
struct Seen {
  std::string host;
  std::string what;  ///< method and target
  http::Headers headers;
  std::string body;

  std::string header(std::string_view name) const { return std::string(headers.find(name).value_or("")); }
};

/// A body that says how long it is and breaks off before its end.
class CutBody final : public http::Body {
 public:
  CutBody(std::string text, std::size_t length) : text_(std::move(text)), length_(length) {}
  std::optional<std::uint64_t> length() const override { return length_; }
  net::awaitable<Result<Bytes>> next() override {
    if (is_given_) co_return transient("cut");
    is_given_ = true;
    co_return as_bytes(text_);
  }

 private:
  std::string text_;
  std::size_t length_;
  bool is_given_ = false;
};

class FakePeers {
 public:
  using Answerer = std::function<http::Response(const Seen&)>;

  FakePeers() = default;
  ~FakePeers() {
    for (auto& server : servers_)
      POSTERN_ASSERT(loop_.run(server->stop(std::chrono::seconds(1))).has_value());
  }

  /// Lets a server listen at http://<host>.
  void add(const std::string& host) {
    servers_.push_back(std::make_unique<http::Server>(
        network_, loop_.clock(), random_, log_, std::vector{loop_.executor()},
        [this, host](http::Request& request) { return serve(host, request); }, http::ServerOptions()));
    POSTERN_ASSERT(servers_.back()->listen({host, 80}).has_value());
  }

  testing::Loop& loop() { return loop_; }
  testing::MemoryNetwork& network() { return network_; }
  testing::MemoryLog& log() { return log_; }
  const std::vector<Seen>& seen() const { return seen_; }
  /// "host method target" of every request so far.
  std::vector<std::string> requests() const {
    std::vector<std::string> out;
    for (const Seen& one : seen_) out.push_back(one.host + " " + one.what);
    return out;
  }
  void forget() { seen_.clear(); }

  Answerer answer;  ///< what the servers say

 private:
  net::awaitable<http::Response> serve(std::string host, http::Request& request) {
    auto body = co_await http::read_all(*request.body, 4 << 20);
    seen_.push_back(
        {std::move(host), request.method + " " + request.target, request.headers, body.value_or("")});
    co_return answer(seen_.back());
  }

  testing::Loop loop_;
  testing::MemoryNetwork network_{loop_.executor()};
  testing::MemoryLog log_;
  testing::SeededRandom random_{1};
  std::vector<std::unique_ptr<http::Server>> servers_;
  std::vector<Seen> seen_;
};

}  // namespace postern::device
