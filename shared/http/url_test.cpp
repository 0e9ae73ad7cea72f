#include "shared/http/url.hpp"

namespace postern::http {
namespace {

TEST(Url, IsTakenApart) {
  const auto url = *Url::parse("https://cloud.example:8443/a/b?x=1&y=%20");
  EXPECT_TRUE(url.is_secure);
  EXPECT_EQ(url.endpoint, (Endpoint{"cloud.example", 8443}));
  EXPECT_EQ(url.target, "/a/b?x=1&y=%20");
  EXPECT_EQ(url.to_string(), "https://cloud.example:8443/a/b?x=1&y=%20");
  EXPECT_EQ(Url::parse("http://a")->to_string(), "http://a/");
  EXPECT_EQ(Url::parse("https://[::1]:443/x")->endpoint, (Endpoint{"::1", 443}));
  EXPECT_EQ(Url::parse("https://[::1]/x")->authority(), "[::1]");
}

TEST(Url, RefusesWhatIsNoPlainHttpUrl) {
  for (const char* text :
       {"", "/a", "ftp://a/", "https://", "https://user:secret@a/", "https://a:99999/", "https://a:0/", "a b",
        "https://a:4b:443/x", "https://a%2fb/", "https://a%0d%0ab/"}) {
    EXPECT_FALSE(Url::parse(text)) << text;
  }
}

TEST(PercentEncoding, LeavesNoColonBare) {
  EXPECT_EQ(percent_encode("2030-01-02T03:04:05Z"), "2030-01-02T03%3A04%3A05Z");
  EXPECT_EQ(*percent_decode("a%2Fb%3a+"), "a/b:+");
  for (const char* text : {"%", "%1", "%zz", "%00"}) EXPECT_FALSE(percent_decode(text)) << text;
  EXPECT_FALSE(percent_decode(std::string_view("\0", 1)));
}

TEST(Query, RoundTrips) {
  const QueryParameters parameters{{"a b", "c&d"}, {"e", ""}};
  EXPECT_EQ(*parse_query(build_query(parameters)), parameters);
  EXPECT_EQ(*parse_query("a+b=1&&c"), (QueryParameters{{"a b", "1"}, {"c", ""}}));
  EXPECT_FALSE(parse_query("a=%zz"));
}

}  // namespace
}  // namespace postern::http
