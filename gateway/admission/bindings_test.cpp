#include "gateway/admission/bindings.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "gateway/store/tables.hpp"
#include "shared/store/memory_database.hpp"
#include "shared/testing/loop.hpp"

namespace postern::gateway {
namespace {

Digest digest(std::string_view name) {
  return sha256(as_bytes(name));
}

class BindingsTest : public ::testing::Test {
 protected:
  static CertificateIdentity certificate(std::string_view key) {
    return {
        .issuer = "CN=CA", .subject = "CN=press", .key = digest(key), .name = {}, .fingerprint = digest(key)};
  }
  static Claim claim(std::string_view identity, std::string_view key) {
    return {.identity_hash = digest(identity), .certificate = certificate(key), .device_key = digest(key)};
  }
  Status bind(std::string_view identity, std::string_view key) {
    return loop_.run(
        bindings_->bind(claim(identity, key), std::string(identity), [](const Digest&) { return false; }));
  }
  void restart() {
    bindings_ = std::make_unique<Bindings>(database_, loop_.clock(), Rebinding::same_subject);
    ASSERT_TRUE(bindings_->load());
  }

  testing::Loop loop_;
  MemoryDatabase database_{{kTables.begin(), kTables.end()}};
  std::unique_ptr<Bindings> bindings_ =
      std::make_unique<Bindings>(database_, loop_.clock(), Rebinding::same_subject);
};

TEST_F(BindingsTest, OutliveARestartWithTheirTokens) {
  ASSERT_TRUE(bind("a", "k1"));
  ASSERT_TRUE(loop_.run(bindings_->note_preauthorized(digest("a"), digest("k1"))));
  ASSERT_TRUE(loop_.run(bindings_->note_token(digest("a"), "token 1")));
  restart();
  EXPECT_EQ(bindings_->size(), 1U);
  EXPECT_TRUE(bindings_->is_preauthorized(digest("a"), digest("k1")));
  EXPECT_EQ(bindings_->standing("token 1", certificate("k1")), TokenStanding::own);
}

TEST_F(BindingsTest, TellATokenOfAnotherDeviceFromAnUnknownOne) {
  ASSERT_TRUE(bind("a", "k1"));
  ASSERT_TRUE(loop_.run(bindings_->note_token(digest("a"), "token 1")));
  EXPECT_EQ(bindings_->standing("token 1", certificate("k2")), TokenStanding::foreign);
  EXPECT_EQ(bindings_->standing("token 2", certificate("k1")), TokenStanding::unknown);
}

TEST_F(BindingsTest, EndTheTokensOfACertificateThatWasReplaced) {
  ASSERT_TRUE(bind("a", "k1"));
  ASSERT_TRUE(loop_.run(bindings_->note_token(digest("a"), "token 1")));
  ASSERT_TRUE(bind("a", "k2"));
  EXPECT_EQ(bindings_->standing("token 1", certificate("k2")), TokenStanding::unknown);
  EXPECT_EQ(bindings_->standing("token 1", certificate("k1")), TokenStanding::unknown);
}

TEST_F(BindingsTest, KeepAFewTokensOfEachIdentity) {
  ASSERT_TRUE(bind("a", "k1"));
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(loop_.run(bindings_->note_token(digest("a"), fmt::format("token {}", i))));
  }
  EXPECT_EQ(bindings_->standing("token 5", certificate("k1")), TokenStanding::own);
  EXPECT_EQ(bindings_->standing("token 2", certificate("k1")), TokenStanding::own);
  EXPECT_EQ(bindings_->standing("token 1", certificate("k1")), TokenStanding::unknown);
}

TEST_F(BindingsTest, AreRefusedToAnotherIdentityAlsoAfterARestart) {
  ASSERT_TRUE(bind("a", "k1"));
  restart();
  EXPECT_EQ(bind("b", "k1").error().reason, Reason::unauthorized);
  EXPECT_EQ(bindings_->size(), 1U);
}

TEST_F(BindingsTest, KeepBothOfTwoTokensThatAreGivenAtOnce) {
  using namespace net::experimental::awaitable_operators;
  ASSERT_TRUE(bind("a", "k1"));
  (void)loop_.run(bindings_->note_token(digest("a"), "token 1") &&
                  bindings_->note_token(digest("a"), "token 2"));
  EXPECT_EQ(bindings_->standing("token 1", certificate("k1")), TokenStanding::own);
  EXPECT_EQ(bindings_->standing("token 2", certificate("k1")), TokenStanding::own);
}

TEST_F(BindingsTest, GiveACertificateToOneOfTwoThatClaimItAtOnce) {
  using namespace net::experimental::awaitable_operators;
  const auto nobody = [](const Digest&) { return false; };
  const auto both = loop_.run(bindings_->bind(claim("a", "k1"), "a", nobody) &&
                              bindings_->bind(claim("b", "k1"), "b", nobody));
  EXPECT_TRUE(std::get<0>(both));
  EXPECT_EQ(std::get<1>(both).error().kind, Kind::transient);
  EXPECT_EQ(bind("b", "k1").error().reason, Reason::unauthorized);
}

TEST_F(BindingsTest, TellWhoseACertificateIs) {
  ASSERT_TRUE(bind("a", "k1"));
  EXPECT_EQ(bindings_->identity_of(certificate("k1")), "a");
  EXPECT_EQ(bindings_->identity_of(certificate("k2")), std::nullopt);
}

TEST_F(BindingsTest, ChangeNothingWhenTheDiskIsFull) {
  database_.fail_commit(1, CommitFault::exhausted);
  EXPECT_EQ(bind("a", "k1").error().kind, Kind::exhausted);
  EXPECT_EQ(bindings_->size(), 0U);
  EXPECT_TRUE(bind("a", "k1"));
}

}  // namespace
}  // namespace postern::gateway
