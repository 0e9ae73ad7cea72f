#include "pki/show.hpp"

#include "shared/io/file.hpp"
#include "shared/testing/loop.hpp"
#include "shared/testing/seeded_random.hpp"
#include "shared/testing/temporary_directory.hpp"

namespace postern {
namespace {

using std::chrono::days;
using std::chrono::hours;
using ::testing::HasSubstr;
using ::testing::Not;

class ShowTest : public ::testing::Test {
 protected:
  ShowTest() { EXPECT_TRUE(Authority::create(path_, {.name = "Plant"}, clock_, random_)); }
  Authority open() { return Authority::open(path_, clock_, random_).value(); }
  Certificate issue(std::string_view kind, LeafRequest request) {
    return open()
        .issue(*find_profile(kind), std::move(request), PrivateKey::generate(KeyType::ecdsa).public_key())
        .value();
  }

  testing::TemporaryDirectory temporary_;
  testing::FakeClock clock_;
  testing::SeededRandom random_{1};
  std::string path_ = temporary_.path() + "/pki";
};

TEST(DistanceText, CountsWholeDays) {
  const WallTime now = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1);
  EXPECT_EQ(distance_text(now + hours(1), now), "today");
  EXPECT_EQ(distance_text(now + hours(25), now), "in 1 day");
  EXPECT_EQ(distance_text(now + days(12), now), "in 12 days");
  EXPECT_EQ(distance_text(now - days(1), now), "1 day ago");
}

TEST_F(ShowTest, TellsOfACertificateWhatAPersonWants) {
  const Certificate server =
      issue("server", {.name = "cloud", .dns_names = {"cloud.example"}, .ip_addresses = {"10.0.0.1"}});
  const std::string text = describe(server, clock_.wall());
  for (const std::string& part :
       {std::string("CN=cloud"), server.serial(), std::string("TLS server"), std::string("cloud.example"),
        std::string("10.0.0.1"), std::string("ecdsa"), std::string("2028-04-05 (in 825 days)")}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(describe(server, clock_.wall() + days(830)), HasSubstr("(EXPIRED 5 days ago)"));
}

TEST_F(ShowTest, ReadsCertificatesAndListsInOneFile) {
  const std::string both = temporary_.path() + "/both.pem";
  const std::string pem = *read_file(path_ + "/device-ca.crl") + *read_file(path_ + "/device-ca.crt");
  ASSERT_TRUE(write_file(both, pem, 0644, Existing::refuse));
  const auto text = describe_file(both, clock_.wall());
  ASSERT_TRUE(text) << text.error().what;
  EXPECT_THAT(*text, HasSubstr("certificate authority"));
  EXPECT_THAT(*text, HasSubstr("(in 90 days)"));
}

TEST_F(ShowTest, NamesAFileThatHoldsNothingToShow) {
  const auto text = describe_file(path_ + "/private/device-ca.key", clock_.wall());
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().what, HasSubstr("device-ca.key"));
  EXPECT_THAT(text.error().what, Not(HasSubstr("BEGIN")));
}

TEST_F(ShowTest, ListsWhatAnAuthorityIssuedAndRevoked) {
  issue("device", {.name = "press-7"});
  const Certificate lost = issue("device", {.name = "press-8"});
  issue("plan-signing", {.name = "planner"});
  issue("gateway", {.name = "gw-4", .site = "plant-4"});
  ASSERT_TRUE(open().revoke(*find_profile("device"), lost.serial(), RevocationReason::unspecified));
  ASSERT_TRUE(open().revoke(*find_profile("server"), "1f", RevocationReason::unspecified));
  const auto text = describe_authority(open(), clock_.wall());
  ASSERT_TRUE(text) << text.error().what;
  EXPECT_THAT(*text, HasSubstr("2 issued, 1 revoked"));
  EXPECT_THAT(*text, HasSubstr("press-7  until 2035-12-30 (in 3650 days)"));
  EXPECT_THAT(*text, HasSubstr(lost.serial() + "  press-8  REVOKED on 2026-01-01"));
  EXPECT_THAT(*text, HasSubstr("planner #1"));
  EXPECT_THAT(*text, HasSubstr("gw-4 at plant-4  until"));
  EXPECT_THAT(*text, HasSubstr("1f  (not recorded)  REVOKED"));
}

}  // namespace
}  // namespace postern
