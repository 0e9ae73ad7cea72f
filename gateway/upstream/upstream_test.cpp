#include "gateway/upstream/upstream.hpp"

#include "shared/http/server.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

/// Answers as it is told to, and remembers what it was asked.
struct Peer {
  std::vector<std::string> seen;  ///< method, target and the Authorization field of each request
  std::function<http::Response(const http::Request&)> answer = [](const http::Request&) {
    return http::Response::text(200, "text/plain", "hello");
  };
  std::unique_ptr<http::Server> server;
};

http::Response redirect(int status, std::string location) {
  http::Response response = http::Response::empty(status);
  response.headers.set("Location", std::move(location));
  return response;
}

class UpstreamTest : public ::testing::Test {
 protected:
  ~UpstreamTest() override {
    if (upstream_) EXPECT_TRUE(loop_.run(upstream_->stop()));
    for (auto& [host, peer] : peers_) {
      if (peer.server) EXPECT_TRUE(loop_.run(peer.server->stop(1s)));
    }
  }

  Peer& serve(const std::string& host) {
    Peer& peer = peers_[host];
    peer.server = std::make_unique<http::Server>(
        network_, loop_.clock(), random_, log_, std::vector{loop_.executor()},
        [&peer](http::Request& request) -> net::awaitable<http::Response> {
          (void)co_await http::read_all(*request.body, 1 << 20);
          peer.seen.push_back(request.method + " " + request.target +
                              std::string(request.headers.find("Authorization").value_or("")));
          co_return peer.answer(request);
        },
        http::ServerOptions{});
    EXPECT_TRUE(peer.server->listen({host, 80}));
    return peer;
  }
  void make(std::vector<std::string> urls, std::vector<std::string> whitelist = {}) {
    UpstreamOptions options{.urls = {}, .domain_whitelist = std::move(whitelist), .return_after = 5min};
    for (const std::string& url : urls) options.urls.push_back(*http::Url::parse(url));
    upstream_ = std::make_unique<Upstream>(network_, loop_.clock(), log_, std::vector{loop_.executor()},
                                           std::move(options));
    upstream_->start();
  }
  Result<int> send(std::string method, bool with_body = false) {
    http::Request request;
    request.method = std::move(method);
    request.target = "/next";
    if (with_body) request.body = std::make_unique<http::TextBody>("body");
    const auto response = loop_.run(upstream_->send(std::move(request)));
    if (!response) return response.error();
    return response->status;
  }
  Result<int> get(const std::string& url) {
    const auto response = loop_.run(
        upstream_->get(*http::Url::parse(url), {{"Range", "bytes=1-"}, {"Authorization", "token"}}));
    if (!response) return response.error();
    return response->status;
  }

  testing::Loop loop_;
  testing::MemoryNetwork network_{loop_.executor()};
  testing::MemoryLog log_;
  testing::SeededRandom random_{1};
  std::map<std::string, Peer> peers_;
  std::unique_ptr<Upstream> upstream_;
};

TEST_F(UpstreamTest, PutsTheUrlsPathBeforeTheRequests) {
  Peer& peer = serve("one");
  make({"http://one/mender/"});
  EXPECT_EQ(*send("GET"), 200);
  EXPECT_THAT(peer.seen, ::testing::ElementsAre("GET /mender/next"));
}

TEST_F(UpstreamTest, TakesTheNextOneWhenTheFirstCannotBeReachedAndReturnsLater) {
  Peer& two = serve("two");
  make({"http://one", "http://two"});
  EXPECT_EQ(*send("POST", true), 200) << "nothing has arrived anywhere before";
  EXPECT_EQ(upstream_->states()[0].health.standing, Standing::down);
  EXPECT_TRUE(upstream_->states()[1].health.is_current);
  Peer& one = serve("one");
  EXPECT_EQ(*send("GET"), 200);
  EXPECT_EQ(two.seen.size(), 2U) << "it stays there";
  loop_.advance(5min);
  EXPECT_EQ(*send("GET"), 200);
  EXPECT_EQ(one.seen.size(), 1U);
  EXPECT_TRUE(upstream_->states()[0].health.is_current);
  EXPECT_EQ(log_.count("upstream.down"), 1U);
}

TEST_F(UpstreamTest, AsksAnotherOneWhenALoadBalancerHasNobodyBehindIt) {
  serve("one").answer = [](const http::Request&) { return http::Response::empty(503); };
  Peer& two = serve("two");
  make({"http://one", "http://two"});
  EXPECT_EQ(*send("PUT", true), 200);
  EXPECT_EQ(two.seen.size(), 1U);
}

TEST_F(UpstreamTest, StaysWithOneThatAnswersWhateverItSays) {
  serve("one").answer = [](const http::Request&) { return http::Response::empty(409); };
  Peer& two = serve("two");
  make({"http://one", "http://two"});
  EXPECT_EQ(*send("GET"), 409);
  EXPECT_TRUE(two.seen.empty());
}

TEST_F(UpstreamTest, DoesNotRepeatWhatMayHaveArrived) {
  Peer& one = serve("one");
  one.answer = [](const http::Request&) { return http::Response::close_connection(); };
  Peer& two = serve("two");
  make({"http://one", "http://two"});
  EXPECT_FALSE(send("POST", true));
  EXPECT_EQ(one.seen.size(), 1U);
  EXPECT_TRUE(two.seen.empty());
  EXPECT_EQ(*send("GET"), 200) << "the other one from now on";
  EXPECT_EQ(two.seen.size(), 1U);
}

TEST_F(UpstreamTest, RepeatsWhatDoesNoHarmTwice) {
  Peer& one = serve("one");
  one.answer = [](const http::Request&) { return http::Response::close_connection(); };
  Peer& two = serve("two");
  make({"http://one", "http://two"});
  EXPECT_EQ(*send("PUT", true), 200);
  EXPECT_EQ(one.seen.size(), 1U);
  EXPECT_EQ(two.seen.size(), 1U);
}

TEST_F(UpstreamTest, FetchesFromItselfAndTheWhitelistOnly) {
  Peer& stranger = serve("stranger");
  serve("store");
  serve("one");
  make({"http://one"}, {"STORE."});
  EXPECT_EQ(*get("http://one/a"), 200);
  EXPECT_EQ(*get("http://store/a"), 200);
  EXPECT_EQ(get("http://stranger/a").error().reason, Reason::forbidden);
  EXPECT_TRUE(stranger.seen.empty());
}

TEST_F(UpstreamTest, FollowsRedirectsToAllowedHostsWithoutCredentials) {
  for (const int status : {301, 302, 303, 307, 308}) {
    serve(fmt::format("one{}", status)).answer = [status](const http::Request& request) {
      return request.path == "/a" ? redirect(status, "b?x=1") : redirect(status, "http://store/c");
    };
    Peer& store = peers_["store"];
    if (!store.server) serve("store");
    if (upstream_) EXPECT_TRUE(loop_.run(upstream_->stop()));
    make({fmt::format("http://one{}", status)}, {"store"});
    EXPECT_EQ(*get(fmt::format("http://one{}/a", status)), 200);
    EXPECT_EQ(peers_[fmt::format("one{}", status)].seen[1], "GET /b?x=1token");
    EXPECT_EQ(store.seen.back(), "GET /c");
  }
}

TEST_F(UpstreamTest, DoesNotFollowARedirectToAnyHost) {
  serve("one").answer = [](const http::Request&) { return redirect(302, "http://stranger/a"); };
  Peer& stranger = serve("stranger");
  make({"http://one"});
  EXPECT_EQ(get("http://one/a").error().reason, Reason::forbidden);
  EXPECT_TRUE(stranger.seen.empty());
}

TEST_F(UpstreamTest, GivesUpOnRedirectsWithoutEnd) {
  Peer& one = serve("one");
  one.answer = [](const http::Request&) { return redirect(307, "/again"); };
  make({"http://one"});
  EXPECT_EQ(get("http://one/a").error().reason, Reason::forbidden);
  EXPECT_EQ(one.seen.size(), 6U);
}

TEST_F(UpstreamTest, NamesArtifactsByTheFirstWhoeverServesThem) {
  make({"http://one", "http://two:8080"});
  EXPECT_EQ(upstream_->origin_of(*http::Url::parse("http://two:8080/x")), "http://one");
  EXPECT_EQ(upstream_->origin_of(*http::Url::parse("http://store/x")), "http://store");
}

}  // namespace
}  // namespace postern::gateway
