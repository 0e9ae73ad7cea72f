#include "gateway/trust/device_trust.hpp"

#include "gateway/trust/test_authority.hpp"
#include "shared/testing/memory_log.hpp"

namespace postern::gateway {
namespace {

using std::chrono::days;

constexpr WallTime kNow = TestAuthority::kBegin + days(1);

class DeviceTrustTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(take_authorities({one_.ca().to_pem() + two_.ca().to_pem()}).status); }

  static std::vector<FileContent> files(const std::vector<std::string>& texts) {
    std::vector<FileContent> contents;
    for (const std::string& text : texts) {
      contents.push_back({.path = fmt::format("file-{}", contents.size()), .text = text});
    }
    return contents;
  }
  DeviceTrust::Taken take_authorities(const std::vector<std::string>& texts) {
    return trust_.take_authorities(files(texts));
  }
  DeviceTrust::Taken take_lists(const std::vector<std::string>& texts) {
    return trust_.take_lists(files(texts));
  }
  DeviceTrust::Taken take_serials(const std::string& text) { return trust_.take_serials(files({text})); }
  std::optional<ClientFault> fault_of(const Certificate& leaf) {
    const auto refusal = trust_.make(nullptr)->check(std::array{leaf}, kNow);
    return refusal ? std::optional(refusal->fault) : std::nullopt;
  }

  testing::MemoryLog log_;
  DeviceTrust trust_{{}, log_};
  TestAuthority one_{"One"};
  TestAuthority two_{"Two", 2};
  Certificate leaf_ = one_.issue("press-1");
};

TEST_F(DeviceTrustTest, HoldsTheAuthoritiesOfAllFiles) {
  TestAuthority three("Three", 3);
  const auto taken = take_authorities({one_.ca().to_pem() + two_.ca().to_pem(), three.ca().to_pem()});
  EXPECT_TRUE(taken.status && taken.has_changed);
  EXPECT_EQ(fault_of(leaf_), std::nullopt);
  EXPECT_EQ(fault_of(three.issue("press-3")), std::nullopt);
  EXPECT_FALSE(take_authorities({one_.ca().to_pem(), two_.ca().to_pem() + three.ca().to_pem()}).has_changed);
}

TEST_F(DeviceTrustTest, KeepsItsAuthoritiesWhenAFileIsBad) {
  const std::string pem = two_.ca().to_pem();
  for (const std::string& bad : {std::string(), pem.substr(0, pem.size() / 2), std::string("junk")}) {
    EXPECT_FALSE(take_authorities({two_.ca().to_pem(), bad}).status);
    EXPECT_EQ(fault_of(leaf_), std::nullopt);
  }
}

TEST_F(DeviceTrustTest, ForgetsAnAuthorityThatWasTakenOut) {
  EXPECT_TRUE(take_authorities({two_.ca().to_pem()}).has_changed);
  EXPECT_EQ(fault_of(leaf_), ClientFault::unknown_authority);
}

TEST_F(DeviceTrustTest, RevokesForTheIssuerOfTheListOnly) {
  const Certificate other = two_.issue("press-2");
  EXPECT_TRUE(take_lists({one_.crl({leaf_, other})}).status);
  EXPECT_EQ(fault_of(leaf_), ClientFault::revoked);
  EXPECT_EQ(fault_of(other), std::nullopt);
}

TEST_F(DeviceTrustTest, TakesTheNewestListOfAnIssuerWhateverTheOrder) {
  for (const bool is_newest_first : {true, false}) {
    DeviceTrust fresh({}, log_);
    ASSERT_TRUE(fresh.take_authorities(files({one_.ca().to_pem()})).status);
    std::vector<std::string> lists{one_.crl({leaf_}, 2), one_.crl({}, 1)};
    if (!is_newest_first) std::swap(lists[0], lists[1]);
    EXPECT_TRUE(fresh.take_lists(files(lists)).status);
    EXPECT_TRUE(fresh.make(nullptr)->check(std::array{leaf_}, kNow));
  }
}

TEST_F(DeviceTrustTest, KeepsTheLastGoodListWhenItsFileIsCutShort) {
  const std::string good = one_.crl({leaf_});
  ASSERT_TRUE(take_lists({good}).status);
  for (const std::string& bad : {std::string(), good.substr(0, good.size() / 2), std::string("junk")}) {
    const auto taken = take_lists({bad});
    EXPECT_FALSE(taken.status);
    EXPECT_FALSE(taken.has_changed);
    EXPECT_EQ(fault_of(leaf_), ClientFault::revoked);
  }
}

TEST_F(DeviceTrustTest, KeepsTheListOfAFileThatIsGoneAndSaysSo) {
  ASSERT_TRUE(take_lists({one_.crl({leaf_})}).status);
  const auto taken = take_lists({});
  ASSERT_FALSE(taken.status);
  EXPECT_THAT(taken.status.error().what, ::testing::HasSubstr("stays in force"));
  EXPECT_EQ(fault_of(leaf_), ClientFault::revoked);
}

TEST_F(DeviceTrustTest, RefusesAnOlderListThanTheOneInForce) {
  ASSERT_TRUE(take_lists({one_.crl({leaf_}, 5)}).status);
  for (const std::string& older : {one_.crl({}, 4, kNow), one_.crl({}, 5, kNow - days(1) - days(1))}) {
    const auto taken = take_lists({older});
    ASSERT_FALSE(taken.status);
    EXPECT_THAT(taken.status.error().what, ::testing::HasSubstr("older than the one in force"));
    EXPECT_EQ(fault_of(leaf_), ClientFault::revoked);
  }
  EXPECT_TRUE(take_lists({one_.crl({}, 6)}).status);
  EXPECT_EQ(fault_of(leaf_), std::nullopt);
}

TEST_F(DeviceTrustTest, TakesTheGoodFilesBesideABadOne) {
  const Certificate other = two_.issue("press-2");
  const auto taken = take_lists({"junk", two_.crl({other})});
  EXPECT_FALSE(taken.status);
  EXPECT_TRUE(taken.has_changed);
  EXPECT_EQ(fault_of(other), ClientFault::revoked);
}

TEST_F(DeviceTrustTest, RefusesAListInTheNameOfAnAuthorityThatHasNotSignedIt) {
  TestAuthority impostor("One", 3);
  const auto taken = take_lists({impostor.crl({leaf_})});
  EXPECT_FALSE(taken.status);
  EXPECT_EQ(fault_of(leaf_), std::nullopt);
}

TEST_F(DeviceTrustTest, HoldsOneListForEachKeyOfAnAuthorityThatRollsOver) {
  TestAuthority new_key("One", 3);
  ASSERT_TRUE(take_authorities({one_.ca().to_pem(), new_key.ca().to_pem()}).status);
  const Certificate other = new_key.issue("press-9");
  ASSERT_TRUE(take_lists({one_.crl({leaf_}, 9), new_key.crl({other}, 1)}).status);
  EXPECT_EQ(fault_of(leaf_), ClientFault::revoked);
  EXPECT_EQ(fault_of(other), ClientFault::revoked);
}

TEST_F(DeviceTrustTest, ForgetsTheListOfAKeyThatIsGone) {
  ASSERT_TRUE(take_lists({one_.crl({leaf_}, 9)}).status);
  TestAuthority new_key("One", 3);
  ASSERT_TRUE(take_authorities({new_key.ca().to_pem()}).status);
  EXPECT_TRUE(take_lists({new_key.crl({}, 1)}).status);
  EXPECT_EQ(fault_of(new_key.issue("press-1")), std::nullopt);
}

TEST_F(DeviceTrustTest, MissesNoListWhoseAuthorityHasGoneWithIt) {
  ASSERT_TRUE(take_lists({one_.crl({}), two_.crl({})}).status);
  ASSERT_TRUE(take_authorities({two_.ca().to_pem()}).status);
  const auto taken = take_lists({two_.crl({})});
  EXPECT_TRUE(taken.status) << taken.status.error().what;
}

TEST_F(DeviceTrustTest, TakesAListOfAnUnknownIssuerWithAWarning) {
  TestAuthority unknown("Intermediate", 3);
  EXPECT_TRUE(take_lists({unknown.crl({})}).status);
  EXPECT_EQ(log_.count("gateway.crl_issuer_unknown"), 1U);
}

TEST_F(DeviceTrustTest, RefusesAListOfSerialsThatWasCutShort) {
  const std::string good = "# stolen\n" + leaf_.serial() + "\nab12cd34\n";
  ASSERT_TRUE(take_serials(good).status);
  for (std::size_t size = 0; size < good.size(); ++size) {
    if (size == good.size() - 1 || good[size - (size > 0 ? 1 : 0)] == '\n') continue;
    EXPECT_FALSE(take_serials(good.substr(0, size)).status && fault_of(leaf_) != ClientFault::revoked)
        << "cut at " << size;
  }
  EXPECT_FALSE(take_serials("").status);
  EXPECT_EQ(fault_of(leaf_), ClientFault::revoked);
}

TEST_F(DeviceTrustTest, TakesASerialBackThatWasTakenOut) {
  ASSERT_TRUE(take_serials(leaf_.serial()).status);
  EXPECT_EQ(fault_of(leaf_), ClientFault::revoked);
  EXPECT_TRUE(take_serials("# none\n").status);
  EXPECT_EQ(fault_of(leaf_), std::nullopt);
  EXPECT_FALSE(take_serials("nonsense\n").status);
}

TEST(ParseFingerprints, TakesThemInBothFormsAndRefusesTheRest) {
  const std::string plain(64, 'a');
  std::string colons;
  for (int i = 0; i < 32; ++i) colons += i == 0 ? "BB" : ":BB";
  const auto parsed = parse_fingerprints("# new heads\n\n" + colons + "  # press 1\r\n" + plain);
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(*parsed, (std::vector<std::string>{plain, std::string(64, 'b')}));
  EXPECT_THAT(parse_fingerprints("\nabcd\n").error().what, ::testing::HasSubstr("line 2"));
}

}  // namespace
}  // namespace postern::gateway
