#include "shared/http/proxy.hpp"

namespace postern::http {
namespace {

bool goes_through(std::string_view exceptions, std::string_view url) {
  const auto settings = ProxySettings::make("proxy:3128", "proxy:3128", exceptions);
  EXPECT_TRUE(settings) << exceptions;
  return settings && settings->find(*Url::parse(url)) != nullptr;
}

TEST(Proxy, IsReadWithOrWithoutSchemePortAndCredentials) {
  const auto whole = Proxy::parse("http://user:p%40ss@proxy.plant:3128/");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->endpoint, (Endpoint{"proxy.plant", 3128}));
  EXPECT_EQ(whole->authorization, "Basic dXNlcjpwQHNz");
  EXPECT_FALSE(whole->is_secure);
  EXPECT_EQ(Proxy::parse("proxy.plant")->endpoint, (Endpoint{"proxy.plant", 80}));
  EXPECT_EQ(Proxy::parse("user:secret@proxy.plant:8080")->endpoint, (Endpoint{"proxy.plant", 8080}));
  EXPECT_EQ(Proxy::parse("https://proxy.plant")->endpoint, (Endpoint{"proxy.plant", 443}));
  EXPECT_EQ(Proxy::parse("http://[fd00::1]:3128")->endpoint, (Endpoint{"fd00::1", 3128}));
  EXPECT_EQ(Proxy::parse("[fd00::1]")->endpoint, (Endpoint{"fd00::1", 80}));
}

TEST(Proxy, IsRefusedWithoutRepeatingThePassword) {
  for (const std::string_view text :
       {"socks5://u:secret@proxy", "http://u:secret@", "http://u:secret@proxy/path", "u:secret@proxy:99999",
        "u:secret%zz@proxy", ":3128"}) {
    const auto proxy = Proxy::parse(text);
    ASSERT_FALSE(proxy) << text;
    EXPECT_EQ(proxy.error().what.find("secret"), std::string::npos) << proxy.error().what;
  }
}

TEST(ProxySettings, ChooseByScheme) {
  const auto settings = *ProxySettings::make("secure:1", "", "");
  EXPECT_EQ(settings.find(*Url::parse("https://a/"))->endpoint.host, "secure");
  EXPECT_EQ(settings.find(*Url::parse("http://a/")), nullptr);
  EXPECT_EQ(ProxySettings().find(*Url::parse("https://a/")), nullptr);
}

TEST(ProxySettings, ANameExceptsItselfAndItsSubdomains) {
  EXPECT_FALSE(goes_through("other example.com", "https://example.com/"));
  EXPECT_FALSE(goes_through("other,EXAMPLE.com", "https://a.b.Example.com./"));
  EXPECT_TRUE(goes_through("example.com", "https://badexample.com/"));
}

TEST(ProxySettings, ASuffixExceptsSubdomainsAlone) {
  EXPECT_FALSE(goes_through(".example.com", "https://a.example.com/"));
  EXPECT_TRUE(goes_through(".example.com", "https://example.com/"));
  EXPECT_FALSE(goes_through("*.example.com", "https://a.example.com/"));
}

TEST(ProxySettings, AddressesAndNetworksAreCompared) {
  EXPECT_FALSE(goes_through("10.1.2.3", "https://10.1.2.3/"));
  EXPECT_TRUE(goes_through("10.1.2.3", "https://10.1.2.4/"));
  EXPECT_FALSE(goes_through("10.0.0.0/8", "https://10.200.0.1/"));
  EXPECT_TRUE(goes_through("10.0.0.0/8", "https://11.0.0.1/"));
  EXPECT_FALSE(goes_through("172.16.0.0/12", "https://172.31.255.1/"));
  EXPECT_TRUE(goes_through("172.16.0.0/12", "https://172.32.0.1/"));
  EXPECT_FALSE(goes_through("fd00::/8", "https://[fd12::1]/"));
  EXPECT_TRUE(goes_through("fd00::/8", "https://10.0.0.1/"));
  EXPECT_FALSE(goes_through("fd00::1", "https://[fd00:0::1]/"));
}

TEST(ProxySettings, APortNarrowsAnException) {
  EXPECT_FALSE(goes_through("cloud:8443", "https://cloud:8443/"));
  EXPECT_TRUE(goes_through("cloud:8443", "https://cloud/"));
  EXPECT_FALSE(goes_through("[fd00::1]:8443", "https://[fd00::1]:8443/"));
  EXPECT_TRUE(goes_through("[fd00::1]:8443", "https://[fd00::1]/"));
}

TEST(ProxySettings, AStarExceptsEverything) {
  EXPECT_FALSE(goes_through("*", "https://anything/"));
}

TEST(ProxySettings, RefuseExceptionsThatMeanNothing) {
  for (const std::string_view text : {"10.0.0.0/33", "name/8", "name:0", "name:x", "a*b", "[fd00::1", "."}) {
    EXPECT_FALSE(ProxySettings::make("proxy", "", text)) << text;
  }
}

}  // namespace
}  // namespace postern::http
