#include "cloud/users/guess_limits.hpp"

#include "shared/testing/loop.hpp"

namespace postern::cloud {
namespace {

using namespace std::chrono_literals;

class GuessLimitsTest : public ::testing::Test {
 protected:
  /// Guesses until it has to wait; returns how often that was.
  int guesses_until_wait(const std::string& account, const std::string& peer, int at_most = 1000) {
    for (int i = 0; i < at_most; ++i) {
      if (limits_.begin(account, peer)) return i;
    }
    return at_most;
  }
  void log_in(const std::string& account, const std::string& peer) {
    EXPECT_FALSE(limits_.begin(account, peer));
    limits_.succeeded(account, peer);
  }
  /// Wrong passwords from so many addresses, three from each.
  void attack(const std::string& account, int addresses) {
    for (int i = 0; i < addresses; ++i) {
      guesses_until_wait(account, fmt::format("198.51.{}.{}:1", i / 250, i % 250), 3);
    }
  }

  testing::Loop loop_;
  GuessLimits limits_{loop_.clock()};
};

TEST_F(GuessLimitsTest, TheEleventhGuessWaitsAndEachFurtherOneTwiceAsLong) {
  EXPECT_EQ(guesses_until_wait("a", "10.0.0.1:5"), 10);
  EXPECT_EQ(limits_.begin("a", "10.0.0.1:6"), 1s) << "another port is no other address";
  loop_.advance(1s);
  EXPECT_FALSE(limits_.begin("a", "10.0.0.1:5"));
  EXPECT_EQ(limits_.begin("A", "10.0.0.1:5"), 2s) << "names have no letter case";
}

TEST_F(GuessLimitsTest, TheWaitIsBoundedSoNobodyIsLockedOutForGood) {
  for (int i = 0; i < 40; ++i) {
    while (limits_.begin("a", "10.0.0.1:5")) loop_.advance(1s);
  }
  const auto wait = limits_.begin("a", "10.0.0.1:5");
  ASSERT_TRUE(wait);
  EXPECT_LE(*wait, GuessLimits::kWaitMax);
  loop_.advance(GuessLimits::kWaitMax);
  log_in("a", "10.0.0.1:5");
  EXPECT_EQ(guesses_until_wait("a", "10.0.0.1:5"), 10) << "a right one starts anew";
}

TEST_F(GuessLimitsTest, GuessesFromElsewhereNeverMakeAnAddressWait) {
  attack("a", 2000);
  EXPECT_EQ(guesses_until_wait("a", "10.0.0.1:5"), GuessLimits::kPairAllowanceUnderAttack);
}

TEST_F(GuessLimitsTest, WhoHasLoggedInFromAnAddressKeepsTheAllowanceUnderAttack) {
  log_in("a", "10.0.0.1:5");
  attack("a", 200);
  EXPECT_EQ(guesses_until_wait("a", "10.0.0.1:5"), GuessLimits::kPairAllowance);
}

TEST_F(GuessLimitsTest, OneAddressCannotTryManyAccounts) {
  log_in("operator", "10.0.0.1:5");
  int guesses = 0;
  for (int account = 0; account < 1000; ++account) {
    guesses += guesses_until_wait(fmt::format("account-{}", account), "10.0.0.1:5", 1);
  }
  EXPECT_EQ(guesses, GuessLimits::kAddressAllowance);
  log_in("operator", "10.0.0.1:9");
}

TEST_F(GuessLimitsTest, ARightPasswordForOneAccountBuysNoGuessesAtAnother) {
  int guesses = 0;
  for (int i = 0; i < 500; ++i) {
    if (!limits_.begin("mine", "10.0.0.1:5")) limits_.succeeded("mine", "10.0.0.1:5");
    if (!limits_.begin(fmt::format("theirs-{}", i), "10.0.0.1:5")) ++guesses;
  }
  EXPECT_EQ(guesses, GuessLimits::kAddressAllowance);
}

TEST_F(GuessLimitsTest, CountsFallWithTime) {
  EXPECT_EQ(guesses_until_wait("a", "10.0.0.1:5"), 10);
  loop_.advance(50min);
  EXPECT_EQ(guesses_until_wait("a", "10.0.0.1:5"), 5);
}

TEST_F(GuessLimitsTest, AnAttemptThatCameToNothingIsNotCounted) {
  for (int i = 0; i < 500; ++i) {
    ASSERT_FALSE(limits_.begin("a", "10.0.0.1:5"));
    limits_.undo("a", "10.0.0.1:5");
  }
}

TEST_F(GuessLimitsTest, WhatIsNotTouchedIsForgottenOnceTheTableIsFull) {
  EXPECT_EQ(guesses_until_wait("a", "10.0.0.1:5"), 10);
  for (std::size_t i = 0; i < GuessLimits::kEntriesMax; ++i) {
    limits_.begin("b", fmt::format("10.{}.{}.{}:5", 1 + i / 62500, i / 250 % 250, i % 250));
  }
  EXPECT_GT(guesses_until_wait("a", "10.0.0.1:5"), 0);
}

TEST(AddressOf, TakesAnIPv4AddressWholeAndTheNetworkOfAnIPv6One) {
  EXPECT_EQ(GuessLimits::address_of("10.0.0.1:443"), "10.0.0.1");
  EXPECT_EQ(GuessLimits::address_of("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(GuessLimits::address_of("[::ffff:10.0.0.1]:443"), "10.0.0.1");
  EXPECT_EQ(GuessLimits::address_of("[2001:db8:1:2:3:4:5:6]:443"), "2001:db8:1:2::/64");
  EXPECT_EQ(GuessLimits::address_of("2001:db8:1:2:9::"), "2001:db8:1:2::/64");
  EXPECT_EQ(GuessLimits::address_of("pid 1 of uid 0"), "pid 1 of uid 0");
  EXPECT_EQ(GuessLimits::address_of(""), "");
}

}  // namespace
}  // namespace postern::cloud
