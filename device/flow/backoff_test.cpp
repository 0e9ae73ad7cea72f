#include "device/flow/backoff.hpp"

#include <gtest/gtest.h>

namespace postern::device {
namespace {

using std::chrono::seconds;

/// All waits until it gives up, in minutes; at most 40.
std::vector<int> minutes_of(BackoffOptions options) {
  Backoff backoff(options);
  std::vector<int> minutes;
  for (auto wait = backoff.next(); wait && minutes.size() < 40; wait = backoff.next()) {
    minutes.push_back(static_cast<int>(*wait / std::chrono::minutes(1)));
  }
  return minutes;
}

// The table of device-client 7.7.
TEST(Backoff, UsesEachWaitThreeTimes) {
  EXPECT_EQ(minutes_of({.max = seconds(60)}), (std::vector{1, 1, 1}));
  EXPECT_EQ(minutes_of({.max = seconds(120)}), (std::vector{1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(minutes_of({.max = seconds(300)}), (std::vector{1, 1, 1, 2, 2, 2, 4, 4, 4, 5, 5, 5}));
  EXPECT_EQ(minutes_of({.max = seconds(600)}), (std::vector{1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8, 10, 10, 10}));
}

TEST(Backoff, StaysAtTheLongestUntilTheCountIsUsedUp) {
  EXPECT_EQ(minutes_of({.max = seconds(120), .count = 8}), (std::vector{1, 1, 1, 2, 2, 2, 2, 2}));
  EXPECT_EQ(minutes_of({.max = seconds(300), .count = 2}), (std::vector{1, 1}));
}

TEST(Backoff, UsesAShorterLongestThroughout) {
  Backoff backoff({.max = seconds(5)});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(backoff.next(), seconds(5));
  EXPECT_EQ(backoff.next(), std::nullopt);
}

TEST(Backoff, BeginsAgainAfterAReset) {
  Backoff backoff({.max = seconds(60)});
  while (backoff.next()) continue;
  backoff.reset();
  EXPECT_EQ(backoff.next(), seconds(60));
}

}  // namespace
}  // namespace postern::device
