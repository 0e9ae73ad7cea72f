#include "cloud/users/rules.hpp"

namespace postern::cloud {
namespace {

TEST(EmailRules, TakeAddressesAndNothingElse) {
  for (const char* good : {"a@b", "ops@example.com", "first.last+tag@sub.example.co", "x_y-z@1.example"}) {
    EXPECT_TRUE(check_email(good)) << good;
  }
  for (const char* bad : {"", "plain", "@b", "a@", "a b@c", "a@b@c", "a@-b", "a@b..c", ".a@b", "a..b@c",
                          "a:b@c", "ä@example.com", "a@b\n"}) {
    EXPECT_FALSE(check_email(bad)) << bad;
  }
  EXPECT_TRUE(check_email(std::string(254, 'a') + "@b"));
  EXPECT_FALSE(check_email(std::string(255, 'a') + "@b"));
}

TEST(PasswordRules, AskForEightToTwoHundredAndFiftySixPrintableCharacters) {
  EXPECT_FALSE(check_password("a@b", "1234567"));
  EXPECT_TRUE(check_password("a@b", "12345678"));
  EXPECT_TRUE(check_password("a@b", std::string(256, 'x')));
  EXPECT_FALSE(check_password("a@b", std::string(257, 'x')));
  EXPECT_FALSE(check_password("a@b", "passwörter"));
  EXPECT_FALSE(check_password("a@b", "pass\tword"));
}

TEST(PasswordRules, RefuseWhatTheAddressContains) {
  EXPECT_FALSE(check_password("operator@example.com", "OPERATOR"));
  EXPECT_FALSE(check_password("operator@example.com", "example.com"));
  EXPECT_TRUE(check_password("operator@example.com", "operator@example.com1"));
}

TEST(TokenNameRules, RefuseControlCharacters) {
  EXPECT_TRUE(check_token_name("build server ä"));
  EXPECT_FALSE(check_token_name(""));
  EXPECT_FALSE(check_token_name("a\nb"));
  EXPECT_FALSE(check_token_name(std::string(257, 'x')));
}

}  // namespace
}  // namespace postern::cloud
