#include "gateway/download.hpp"

#include "gateway/cache/cache_fixture.hpp"

namespace postern::gateway {
namespace {

using ::testing::HasSubstr;

class DownloadTest : public testing::CacheFixture {
 protected:
  void use_route() {
    route_ = std::make_unique<DownloadRoute>(*cache_, signer_, nullptr, site_, admission_, *metrics_,
                                             loop_.clock(), log_);
    router_ = std::make_unique<http::Router>();
    route_->add_routes(*router_);
  }
  /// Gets all that a GET of a link of ours gives, and drops it.
  std::string get_by_link(const ArtifactKey& key) {
    const std::string path = "/api/devices/v1/deployments/download/artifact/" + to_text(key);
    http::Request request;
    request.method = "GET";
    request.path = path;
    request.target = signer_.sign(path, loop_.clock().wall() + std::chrono::hours(1));
    request.peer = "10.0.0.7:1";
    const auto serve = [&]() -> net::awaitable<Result<std::string>> {
      http::Response response = co_await router_->serve(request);
      if (response.status != 200) co_return invalid(fmt::format("status {}", response.status));
      co_return co_await http::read_all(*response.body, 256 << 20);
    };
    return loop_.run(serve()).value_or("");
  }
  std::string last_line(std::string_view event) {
    std::string found;
    for (const std::string& line : log_.lines()) {
      if (line.find(event) != std::string::npos) found = line;
    }
    return found;
  }

  LinkSigner signer_{{std::byte{1}}};
  Limiter site_{Calendar(), loop_.clock(), log_, loop_.executor()};
  Admission admission_{0, loop_.clock()};
  std::unique_ptr<DownloadRoute> route_;
  std::unique_ptr<http::Router> router_;
};

TEST_F(DownloadTest, SaysWhoGotWhatFromWhere) {
  const auto key = add("a");
  use_route();
  ASSERT_TRUE(get_by_link(key) == file("a"));
  const std::string line = last_line("download.served");
  const auto size = std::to_string(file("a").size());
  for (const std::string& part :
       {std::string("peer=10.0.0.7:1"), std::string("device=-"), "key=" + to_text(key), "size_bytes=" + size,
        "cache_bytes=" + size, std::string("upstream_bytes=0"), std::string("complete=true")}) {
    EXPECT_THAT(line, HasSubstr(part));
  }
}

TEST_F(DownloadTest, TellsApartWhatCameThroughTheCacheAndWhatPastIt) {
  open({}, 8 << 20);
  const auto key = add("a", 12 << 20);
  use_route();
  ASSERT_TRUE(get_by_link(key) == file("a"));
  const std::string line = last_line("download.served");
  const auto value = [&](std::string_view name) {
    const auto at = line.find(fmt::format(" {}=", name));
    return at == std::string::npos ? 0 : std::stoull(line.substr(at + name.size() + 2));
  };
  EXPECT_GT(value("cache_bytes"), 0U);
  EXPECT_GT(value("upstream_bytes"), 0U);
  EXPECT_EQ(value("cache_bytes") + value("upstream_bytes"), file("a").size());
  EXPECT_EQ(value("cache_bytes"), metrics_->cache_bytes);
}

}  // namespace
}  // namespace postern::gateway
