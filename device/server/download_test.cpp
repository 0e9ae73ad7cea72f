#include "device/server/download.hpp"

#include "device/server/fake_peer.hpp"
#include "shared/http/range.hpp"

namespace postern::device {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() {
    peers_.add("blobs");
    for (int i = 0; i < 1000; ++i) content_ += fmt::format("{:09} ", i);
  }

  net::awaitable<Result<std::string>> fetch(http::Client& client) {
    POSTERN_CO_TRY(auto body, co_await open_download(client, peers_.loop().clock(), peers_.log(),
                                                     *http::Url::parse("http://blobs/artifact?sign=1"),
                                                     {.retries = 3, .wait = 60s, .user_agent = "test"}));
    POSTERN_ASSERT(body->length() == content_.size());
    co_return co_await http::read_all(*body, 1 << 20);
  }
  Result<std::string> download() {
    http::Client client(peers_.network(), peers_.loop().clock(), {.progress_max = 5min});
    return peers_.loop().run(fetch(client));
  }
  /// The first `count` bytes from `first` on, then a cut.
  http::Response cut(int status, std::size_t first, std::size_t count) const {
    http::Response response;
    response.status = status;
    response.body = std::make_unique<CutBody>(content_.substr(first, count), content_.size() - first);
    return response;
  }
  http::Response rest(const Seen& seen) const {
    const auto range = http::parse_range(seen.headers.find("Range"), content_.size()).range;
    POSTERN_ASSERT(range && range->last == content_.size() - 1);
    auto response = http::Response::text(206, "x", content_.substr(range->first));
    response.headers.add("Content-Range", range->content_range(content_.size()));
    return response;
  }
  bool is_first() const { return peers_.seen().size() == 1; }

  FakePeers peers_;
  std::string content_;
};

TEST_F(DownloadTest, ReadsAWholeBody) {
  peers_.answer = [this](const Seen&) { return http::Response::text(200, "x", content_); };
  EXPECT_EQ(*download(), content_);
  ASSERT_THAT(peers_.requests(), ElementsAre("blobs GET /artifact?sign=1"));
  EXPECT_EQ(peers_.seen().front().header("Range"), "");
  EXPECT_EQ(peers_.seen().front().header("Authorization"), "");
  EXPECT_EQ(peers_.seen().front().header("User-Agent"), "test");
}

TEST_F(DownloadTest, GoesOnWhereItWasCut) {
  peers_.answer = [this](const Seen& seen) {
    if (is_first()) return cut(200, 0, 1234);
    if (peers_.seen().size() == 2) {
      auto response = cut(206, 1234, 766);
      response.headers.add("Content-Range", "bytes 1234-9999/10000");
      return response;
    }
    return rest(seen);
  };
  const SteadyTime begin = peers_.loop().clock().now();
  EXPECT_EQ(*download(), content_);
  EXPECT_EQ(peers_.seen().at(1).header("Range"), "bytes=1234-9999");
  EXPECT_EQ(peers_.seen().at(2).header("Range"), "bytes=2000-9999");
  EXPECT_GE(peers_.loop().clock().now() - begin, 120s);
  EXPECT_LT(peers_.loop().clock().now() - begin, 130s);
}

TEST_F(DownloadTest, GivesUpAfterItsRetries) {
  peers_.answer = [this](const Seen&) { return is_first() ? cut(200, 0, 10) : http::Response::empty(503); };
  const auto body = download();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().kind, Kind::exhausted);
  EXPECT_THAT(body.error().what, HasSubstr("given up at byte 10"));
  EXPECT_EQ(peers_.seen().size(), 4U);
}

TEST_F(DownloadTest, AsksAgainWhenTheRangeIsNotRespected) {
  peers_.answer = [this](const Seen& seen) {
    if (is_first()) return cut(200, 0, 10);
    return peers_.seen().size() == 2 ? http::Response::text(200, "x", content_) : rest(seen);
  };
  EXPECT_EQ(*download(), content_);
}

TEST_F(DownloadTest, RefusesAnotherRange) {
  for (const std::string range : {"bytes 10-9998/10000", "bytes 11-9999/10000", "bytes 10-9999/9999", ""}) {
    peers_.forget();
    peers_.answer = [&](const Seen&) {
      if (is_first()) return cut(200, 0, 10);
      auto response = http::Response::text(206, "x", content_.substr(10));
      if (!range.empty()) response.headers.add("Content-Range", range);
      return response;
    };
    const auto body = download();
    ASSERT_FALSE(body) << range;
    EXPECT_EQ(body.error().kind, Kind::rejected);
    EXPECT_EQ(peers_.seen().size(), 2U);
  }
}

TEST_F(DownloadTest, RefusesARestOfAnotherSize) {
  peers_.answer = [this](const Seen&) {
    if (is_first()) return cut(200, 0, 10);
    auto response = http::Response::text(206, "x", content_.substr(11));
    response.headers.add("Content-Range", "bytes 10-9999/10000");
    return response;
  };
  EXPECT_THAT(download().error().what, HasSubstr("size of the rest"));
}

TEST_F(DownloadTest, AnExpiredLinkEndsItAtOnce) {
  peers_.answer = [this](const Seen&) {
    return is_first() ? cut(200, 0, 10) : http::Response::text(403, "x", R"({"error":"link expired"})");
  };
  EXPECT_THAT(download().error().what, HasSubstr("link expired"));
  EXPECT_EQ(peers_.seen().size(), 2U);
}

TEST_F(DownloadTest, TheFirstAnswerHasToBeASuccess) {
  for (const int status : {204, 206, 302, 404, 500}) {
    peers_.forget();
    peers_.answer = [status](const Seen&) { return http::Response::empty(status); };
    EXPECT_FALSE(download()) << status;
    EXPECT_EQ(peers_.seen().size(), 1U);
  }
}

TEST_F(DownloadTest, NeedsALength) {
  class Endless final : public http::Body {
   public:
    std::optional<std::uint64_t> length() const override { return std::nullopt; }
    net::awaitable<Result<Bytes>> next() override { co_return as_bytes("x"); }
  };
  peers_.answer = [](const Seen&) {
    http::Response response;
    response.body = std::make_unique<Endless>();
    return response;
  };
  EXPECT_THAT(download().error().what, HasSubstr("no Content-Length"));
}

TEST_F(DownloadTest, TriesAgainWhenThereIsNoConnection) {
  peers_.answer = [this](const Seen&) {
    return is_first() ? http::Response::close_connection() : http::Response::text(200, "x", content_);
  };
  EXPECT_EQ(*download(), content_);
  EXPECT_EQ(peers_.log().count("download.interrupted"), 1U);
}

}  // namespace
}  // namespace postern::device
