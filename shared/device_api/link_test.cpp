#include "shared/device_api/link.hpp"

namespace postern {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr std::string_view kPath =
    "/api/devices/v1/deployments/download/configuration/8ac7f6d3-3f52-4f4a-9c4b-2a54d8a0c111/raspberrypi4/"
    "6f1f7a0e-7b8e-4d2a-9a35-3f1f4d0c2222";
const WallTime kExpires = *from_rfc3339("2030-01-02T03:04:05Z");

LinkSigner signer(std::string_view secret = kSecret) {
  const Bytes bytes = as_bytes(secret);
  return LinkSigner({bytes.begin(), bytes.end()});
}

LinkVerdict verdict(std::string_view target, WallTime now = kExpires - 1s, std::string_view method = "GET") {
  return signer().verify(method, target, now).verdict;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Link, HasTheSignatureOfTheSpecification) {
  EXPECT_EQ(signer().sign(kPath, kExpires), std::string(kPath) +
                                                "?x-men-expire=2030-01-02T03%3A04%3A05Z&x-men-signature="
                                                "lJjFGMes3zHYwt5djr-SFwp5H3zB8P4It2TpNz3fmgs");
}

TEST(Link, IsValidUntilItExpires) {
  const std::string target = signer().sign(kPath, kExpires + 999ms);
  EXPECT_EQ(verdict(target, kExpires - 1ms), LinkVerdict::valid);
  EXPECT_EQ(verdict(target, kExpires), LinkVerdict::expired) << "whole seconds, rounded down";
}

TEST(Link, SaysWhatItIsForEvenWhenExpired) {
  const auto check = signer().verify("GET", signer().sign("/a b/c", kExpires, "t&1"), kExpires + 1h);
  EXPECT_EQ(check.verdict, LinkVerdict::expired);
  EXPECT_EQ(check.path, "/a b/c");
  EXPECT_EQ(check.tenant_id, "t&1");
  EXPECT_EQ(check.expires, kExpires);
}

TEST(Link, SaysNothingOfWhatIsNotSigned) {
  const auto check = signer("another").verify("GET", signer().sign(kPath, kExpires), kExpires - 1s);
  EXPECT_EQ(check.verdict, LinkVerdict::bad_signature);
  EXPECT_EQ(check.path, "");
}

TEST(Link, CountsHeadAsGetAndNothingElse) {
  const std::string target = signer().sign(kPath, kExpires);
  EXPECT_EQ(verdict(target, kExpires - 1s, "HEAD"), LinkVerdict::valid);
  EXPECT_EQ(verdict(target, kExpires - 1s, "PUT"), LinkVerdict::bad_signature);
}

TEST(Link, HasNoColonWhateverIsInIt) {
  for (const char* path : {"/type:1/a", "/a b", "/%41", "/\xC3\xA9", "/a?b#c", "/a+b&c=d", "/a;b,c@d"}) {
    const std::string target = signer().sign(path, kExpires, "t:1+2 3");
    EXPECT_EQ(target.find(':'), std::string::npos) << target;
    EXPECT_EQ(target.find(' '), std::string::npos) << target;
    const auto check = signer().verify("GET", target, kExpires - 1s);
    EXPECT_EQ(check.verdict, LinkVerdict::valid) << target;
    EXPECT_EQ(check.path, path);
    EXPECT_EQ(check.tenant_id, "t:1+2 3");
  }
}

TEST(Link, IsValidInAnyEquivalentSpelling) {
  const std::string target = signer().sign(kPath, kExpires);
  EXPECT_EQ(verdict(replaced(target, "%3A04%3A", ":04:")), LinkVerdict::valid);
  EXPECT_EQ(verdict(replaced(target, "%3A04%3A", "%3a04%3a")), LinkVerdict::valid);
  EXPECT_EQ(verdict(replaced(target, "raspberry", "%72aspberry")), LinkVerdict::valid);
  EXPECT_EQ(verdict(target + "&other=1"), LinkVerdict::valid) << "what is not ours is not signed";
}

TEST(Link, RefusesEveryChange) {
  const std::string target = signer().sign(kPath, kExpires, "t1");
  EXPECT_EQ(verdict(target), LinkVerdict::valid);
  EXPECT_EQ(verdict(replaced(target, "raspberrypi4", "raspberrypi5")), LinkVerdict::bad_signature);
  EXPECT_EQ(verdict(replaced(target, "2030", "2031")), LinkVerdict::bad_signature);
  EXPECT_EQ(verdict(replaced(target, "tenant_id=t1", "tenant_id=t2")), LinkVerdict::bad_signature);
  EXPECT_EQ(verdict(replaced(target, "tenant_id=t1&", "")), LinkVerdict::bad_signature);
  EXPECT_EQ(verdict(target.substr(0, target.size() - 1)), LinkVerdict::bad_signature);
  EXPECT_EQ(verdict(target + "A"), LinkVerdict::bad_signature);
}

TEST(Link, RefusesMissingDoubledAndMalformedParameters) {
  const std::string target = signer().sign(kPath, kExpires);
  for (const std::string& bad :
       {std::string(), std::string("/"), std::string(kPath),
        replaced(target, "x-men-expire=", "x-men-expires="),
        replaced(target, "x-men-signature=", "signature="), replaced(target, "2030", "never"),
        replaced(target, "05Z", "05Z%0Ax"), target + "&x-men-expire=2031-01-01T00%3A00%3A00Z",
        target + "&x-men-signature=x", target + "&tenant_id=&tenant_id=", target + "&tenant_id=a%0Ab",
        replaced(target, "raspberrypi4", "raspberry%0Api4"), replaced(target, "raspberrypi4", "raspberry%zz"),
        "https://host" + target, target + "&pad=" + std::string(kLinkBytesMax, 'a')}) {
    EXPECT_EQ(verdict(bad), LinkVerdict::bad_parameters) << bad;
  }
}

}  // namespace
}  // namespace postern
