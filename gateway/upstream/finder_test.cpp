#include "gateway/upstream/finder.hpp"

#include "gateway/store/tables.hpp"
#include "gateway/upstream/lookup.hpp"
#include "shared/http/router.hpp"
#include "shared/http/server.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/memory_log.hpp"
#include "shared/testing/memory_network.hpp"
#include "shared/testing/seeded_random.hpp"

namespace postern::gateway {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kDigest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// An upstream that knows one artifact, at the routes of either kind of server.
class FinderTest : public ::testing::Test {
 protected:
  FinderTest() {
    answer("GET", "/api/gateways/v1/artifacts", [](http::Request& request) {
      return text(200, request.query == "name=release%201" ? fmt::format("[{}]", cloud_artifact()) : "[]");
    });
    answer("GET", "/api/gateways/v1/artifacts/{id}", [](http::Request& request) {
      return request.parameter("id") == "id-1" ? text(200, cloud_artifact()) : text(404, "{}");
    });
    answer("POST", "/api/management/v1/useradm/auth/login", [this](http::Request&) {
      ++log_ins_;
      return text(password_is_good_ ? 200 : 401, fmt::format("token-{}", log_ins_));
    });
    answer("GET", "/api/management/v1/deployments/artifacts", [this](http::Request& request) {
      if (!is_let_in(request)) return text(401, "");
      // This one looks for parts of names.
      return text(200, R"([{"id":"id-1","name":"release 1","size":5},{"id":"id-2","name":"release 10"}])");
    });
    answer("GET", "/api/management/v1/deployments/artifacts/{id}/download", [this](http::Request& request) {
      if (!is_let_in(request)) return text(401, "");
      if (request.parameter("id") != "id-1") return text(404, "{}");
      return text(200, R"({"uri":"https://s3.example/bucket/id-1?X-Amz-Signature=abc","method":"GET"})");
    });
    EXPECT_TRUE(server_.listen({"upstream", 80}));
    upstream_.start();
  }
  ~FinderTest() override {
    EXPECT_TRUE(loop_.run(upstream_.stop()));
    EXPECT_TRUE(loop_.run(server_.stop(std::chrono::seconds(1))));
  }

  static http::Response text(int status, std::string body) {
    return http::Response::text(status, "application/json", std::move(body));
  }
  static std::string cloud_artifact() {
    return fmt::format(
        R"({{"id":"id-1","name":"release 1","size":5,"sha256":"{}","uri":"http://upstream/get/id-1?sig=a"}})",
        kDigest);
  }
  void answer(std::string_view method, std::string_view pattern,
              std::function<http::Response(http::Request&)> make) {
    router_.add(method, pattern, [make](http::Request& request) -> net::awaitable<http::Response> {
      co_return make(request);
    });
  }
  bool is_let_in(const http::Request& request) const {
    return request.headers.find("Authorization") ==
           fmt::format("Bearer token-{}", good_token_.value_or(log_ins_));
  }

  testing::Loop loop_;
  testing::MemoryLog log_;
  testing::SeededRandom random_{1};
  testing::MemoryNetwork network_{loop_.executor()};
  http::Router router_;
  http::Server server_{
      network_, loop_.clock(),      random_,
      log_,     {loop_.executor()}, [this](http::Request& request) { return router_.serve(request); },
      {}};
  Upstream upstream_{network_,
                     loop_.clock(),
                     log_,
                     {loop_.executor()},
                     {.urls = {*http::Url::parse("http://upstream")}, .domain_whitelist = {"s3.example"}}};
  MemoryDatabase database_{{kTables.begin(), kTables.end()}};
  Catalog catalog_{database_, loop_.clock()};
  ManagementSession session_{upstream_, log_, "operator", "secret"};
  CertificateFinder by_certificate_{upstream_, "postern-gateway/0"};
  ManagementFinder by_user_{session_};
  int log_ins_ = 0;
  std::optional<int> good_token_;
  bool password_is_good_ = true;
};

TEST_F(FinderTest, TheCloudTellsIdLinkSizeAndDigest) {
  const auto found = loop_.run(by_certificate_.find_by_name("release 1"));
  ASSERT_TRUE(found) << found.error().what;
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->at(0).id, "id-1");
  EXPECT_EQ(found->at(0).uri, "http://upstream/get/id-1?sig=a");
  EXPECT_EQ(found->at(0).size_bytes, 5U);
  EXPECT_EQ(to_hex(found->at(0).digest.value()), kDigest);
  EXPECT_EQ(loop_.run(by_certificate_.find_by_id("id-1"))->name, "release 1");
  EXPECT_EQ(loop_.run(by_certificate_.find_by_name("release")).error().reason, Reason::not_found);
  EXPECT_EQ(loop_.run(by_certificate_.find_by_id("id-9")).error().reason, Reason::not_found);
}

TEST_F(FinderTest, AnyMenderServerTellsIdAndLinkOfExactlyThatName) {
  const auto found = loop_.run(by_user_.find_by_name("release 1"));
  ASSERT_TRUE(found) << found.error().what;
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->at(0).id, "id-1");
  EXPECT_THAT(found->at(0).uri, HasSubstr("https://s3.example/bucket/id-1?"));
  EXPECT_EQ(loop_.run(by_user_.find_by_name("release")).error().reason, Reason::not_found);
  EXPECT_EQ(loop_.run(by_user_.find_by_id("id-9")).error().reason, Reason::not_found);
  EXPECT_EQ(log_ins_, 1);
}

TEST_F(FinderTest, ATokenThatHasEndedIsRenewedOnceAndARefusedUserIsTold) {
  ASSERT_TRUE(loop_.run(by_user_.find_by_id("id-1")));
  good_token_ = 2;
  EXPECT_TRUE(loop_.run(by_user_.find_by_id("id-1")));
  EXPECT_EQ(log_ins_, 2);
  good_token_ = 99;
  EXPECT_FALSE(loop_.run(by_user_.find_by_id("id-1")));
  EXPECT_EQ(log_ins_, 3);
  password_is_good_ = false;
  EXPECT_EQ(loop_.run(by_user_.find_by_id("id-1")).error().reason, Reason::unauthorized);
}

TEST_F(FinderTest, TheKeyIsThatOfTheInstructionOfADevice) {
  const auto found = loop_.run(by_certificate_.find_by_id("id-1")).value();
  const auto described = describe_artifact(upstream_, found.id, found.name, found.uri).value();
  EXPECT_EQ(described.key, artifact_key("http://upstream", "id-1"));
  const auto nameless = describe_artifact(upstream_, "", "", "http://cdn.example:81/a/b?sig=x").value();
  EXPECT_EQ(nameless.key, artifact_key("http://upstream", "http://cdn.example:81/a/b"));
}

TEST_F(FinderTest, LookingUpANameOrAPlaceMakesItKnownToTheCatalog) {
  ArtifactLookup lookup(&by_certificate_, upstream_, catalog_, loop_.clock(), log_, loop_.executor());
  const auto named = loop_.run(lookup.resolve("release 1"));
  ASSERT_TRUE(named) << named.error().what;
  EXPECT_EQ(catalog_.source_of(named->at(0).key).value(), "http://upstream/get/id-1?sig=a");
  const auto placed = loop_.run(lookup.resolve("https://s3.example/images/full.mender?sig=1"));
  ASSERT_TRUE(placed) << placed.error().what;
  EXPECT_EQ(placed->at(0).name, "full.mender");
  EXPECT_EQ(loop_.run(lookup.resolve("https://elsewhere.example/x")).error().reason, Reason::forbidden);
  EXPECT_EQ(loop_.run(lookup.resolve("https://user:password@s3.example/x")).error().reason, Reason::invalid);
}

TEST_F(FinderTest, AFreshLinkIsFoundWithoutADevice) {
  ArtifactLookup lookup(&by_certificate_, upstream_, catalog_, loop_.clock(), log_, loop_.executor());
  CachedArtifact known =
      describe_artifact(upstream_, "id-1", "release 1", "http://upstream/old?sig=b").value();
  ASSERT_TRUE(loop_.run(catalog_.note_source(known)));
  EXPECT_TRUE(loop_.run(lookup.renew(known.key)));
  EXPECT_EQ(catalog_.source_of(known.key).value(), "http://upstream/get/id-1?sig=a");
  EXPECT_EQ(loop_.run(lookup.renew(artifact_key("x", "y"))).error().reason, Reason::not_found);
  ArtifactLookup alone(nullptr, upstream_, catalog_, loop_.clock(), log_, loop_.executor());
  EXPECT_EQ(loop_.run(alone.renew(known.key)).error().reason, Reason::not_found);
  EXPECT_EQ(loop_.run(alone.resolve("release 1")).error().reason, Reason::invalid);
}

TEST_F(FinderTest, NoLinkAndNoSecretGetsIntoTheLog) {
  ArtifactLookup lookup(&by_user_, upstream_, catalog_, loop_.clock(), log_, loop_.executor());
  ASSERT_TRUE(loop_.run(lookup.resolve("release 1")));
  for (const std::string& line : log_.lines()) {
    for (const char* secret : {"Signature", "sig=", "token-", "secret", "Bearer", "Basic"}) {
      EXPECT_THAT(line, ::testing::Not(HasSubstr(secret)));
    }
  }
}

}  // namespace
}  // namespace postern::gateway
